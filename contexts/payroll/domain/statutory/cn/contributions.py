"""Social insurance and housing fund of one person and month: clamp the declared base, multiply, round, both sides."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from contexts.payroll.domain.statutory.cn import rules
from contexts.payroll.domain.statutory.errors import (
    HousingFundRateOutOfRange,
    InjuryRateOutOfRange,
    MinimumWageZoneNeeded,
    StatutoryInputInvalid,
)
from contexts.payroll.domain.statutory.exact import EXACT, FEN, YUAN, ZERO
from contexts.payroll.domain.statutory.table import TableRow, Tables
from contexts.payroll.domain.statutory.trace import Line, LineSpec, Rule

SCHEMES = ("pension", "medical", "maternity", "unemployment", "injury", "housing_fund")
_INSURANCES = ("pension", "medical", "maternity", "unemployment", "injury")
MAX_RESOLVED = 4096

_add, _multiply, _quantize = EXACT.add, EXACT.multiply, EXACT.quantize
_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class Enrolment:
    """How one person is insured in a city. Bases are yuan a month; rates are fractions.

    Invariants: a base of None means that this scheme is not paid this month.
    """

    city: str
    social_insurance_base: Decimal | None
    housing_fund_base: Decimal | None
    housing_fund_rate: Decimal
    injury_rate: Decimal
    housing_fund_supplementary_rate: Decimal = ZERO
    minimum_wage_zone: str | None = None


class Contributions(NamedTuple):
    """What both sides pay for one person and month, in yuan."""

    lines: tuple[Line, ...]  # the employee's first
    employee_total: Decimal

    @property
    def employer_total(self) -> Decimal:
        """What the employer pays; summed when asked, because a payslip adds its own lines."""
        total = ZERO
        for line in self.lines:
            if line.spec.kind == "EMPLOYER_CONTRIBUTION":
                total = _add(total, line.amount)
        return total

    def by_scheme(self, side: str) -> dict[str, Decimal]:
        """EMPLOYEE's or EMPLOYER's amount of every scheme; ordinary and supplementary fund together, 0 where none."""
        amounts = dict.fromkeys(SCHEMES, ZERO)
        kind = "DEDUCTION" if side == "EMPLOYEE" else "EMPLOYER_CONTRIBUTION"
        for line in self.lines:
            if line.spec.kind == kind:
                amounts[line.spec.scheme] = _add(amounts[line.spec.scheme], line.amount)
        return amounts


_NOTHING = Contributions((), ZERO)

# One side of one scheme: index of its base bounds, spec, rate (None: the employer's own injury rate).
_Share = tuple[int, LineSpec, Decimal]
_EmployerShare = tuple[int, LineSpec, Decimal | None]


@dataclass(frozen=True, slots=True)
class _Fund:
    floor: Decimal
    ceiling: Decimal
    floor_is_certain: bool  # False where the zone is not known: then a base under `floor` is refused
    rates: TableRow
    lowest: Decimal
    highest: Decimal
    ordinary: tuple[LineSpec, LineSpec]
    supplementary: tuple[LineSpec, LineSpec]


@dataclass(frozen=True, slots=True)
class _CityMonth:
    """Every table row that a person of this city, zone and month can meet, resolved once."""

    bounds: tuple[tuple[Decimal, Decimal], ...]  # floor, ceiling of each group of schemes with one base table
    employee: tuple[_Share, ...]
    employer: tuple[_EmployerShare, ...]
    highest_injury_rate: Decimal
    fund: _Fund


class SocialInsurance:
    """The contribution tables of one edition, ready to be applied.

    Invariants: a table is looked up by the contribution month's first day; at most a fixed number of resolved months is
    kept, and what is kept never changes an answer.
    """

    __slots__ = ("_resolved", "_tables")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._resolved: dict[tuple[str, date, str | None], _CityMonth] = {}

    def assess(self, enrolment: Enrolment, month: date) -> Contributions:
        """Both sides' contributions for the month that holds `month`, in yuan.

        Raises StatutoryTableMissing, HousingFundRateOutOfRange, InjuryRateOutOfRange, MinimumWageZoneNeeded.
        Source: Social Insurance Law; 住房公积金管理条例; the city's base notices (rows carry them).
        """
        if enrolment.social_insurance_base is None and enrolment.housing_fund_base is None:
            return _NOTHING  # no scheme is paid, so no table is needed: the city may be one that has none here
        key = (enrolment.city, month, enrolment.minimum_wage_zone)
        city = self._resolved.get(key) or self._resolve(key)
        own: list[Line] = []
        employers: list[Line] = []
        own_total = ZERO

        declared = enrolment.social_insurance_base
        if declared is not None:
            injury_rate = enrolment.injury_rate
            if not ZERO <= injury_rate <= city.highest_injury_rate:
                raise InjuryRateOutOfRange(
                    f"a work-injury rate lies between 0 and {city.highest_injury_rate}; take the class of the industry",
                    field="injury_rate",
                )
            bases = [
                declared if floor <= declared <= ceiling else floor if declared < floor else ceiling
                for floor, ceiling in city.bounds
            ]
            bounds = city.bounds
            for group, spec, rate in city.employee:
                base = bases[group]
                floor, ceiling = bounds[group]
                amount = _quantize(base * rate, FEN)
                own_total += amount
                values = (declared, floor, ceiling, rate, base)
                own.append(_new(Line, (spec, amount, base, rate, None, values)))
            for group, spec, fixed in city.employer:
                rate = injury_rate if fixed is None else fixed
                base = bases[group]
                floor, ceiling = bounds[group]
                amount = _quantize(base * rate, FEN)
                values = (declared, floor, ceiling, rate, base)
                employers.append(_new(Line, (spec, amount, base, rate, None, values)))

        declared = enrolment.housing_fund_base
        if declared is not None:
            fund = city.fund
            floor, ceiling = fund.floor, fund.ceiling
            if declared < floor:
                if not fund.floor_is_certain:
                    raise _zone_needed(enrolment)
                base = floor
            else:
                base = declared if declared <= ceiling else ceiling
            rate = enrolment.housing_fund_rate
            if not fund.lowest <= rate <= fund.highest:
                _check_rate(fund.rates, rate, "lowest", "highest", "housing_fund_rate")
            amount = _quantize(base * rate, YUAN)
            values = (declared, floor, ceiling, rate, base)
            own.append(_new(Line, (fund.ordinary[0], amount, base, rate, None, values)))
            employers.append(_new(Line, (fund.ordinary[1], amount, base, rate, None, values)))
            own_total += amount
            rate = enrolment.housing_fund_supplementary_rate
            if rate:
                _check_rate(
                    fund.rates, rate, "supplementary_lowest", "supplementary_highest", "housing_fund_supplementary_rate"
                )
                amount = _quantize(base * rate, YUAN)
                values = (declared, floor, ceiling, rate, base)
                own.append(_new(Line, (fund.supplementary[0], amount, base, rate, None, values)))
                employers.append(_new(Line, (fund.supplementary[1], amount, base, rate, None, values)))
                own_total += amount
        return _new(Contributions, ((*own, *employers), own_total))

    def own_average_base(self, own_average: Decimal, local_average: Decimal) -> Decimal:
        """The base of a person from their own average wage, in yuan a month.

        Source: 劳办发〔1997〕116号: between 60% and 300% of the local average wage.
        """
        row = self._tables.row("social_insurance.own_average", self._tables.edition)
        if own_average < 0 or local_average <= 0:
            raise StatutoryInputInvalid("average wages are positive amounts", field="own_average_wage")
        floor = _multiply(local_average, row["lowest_share"])
        return min(max(own_average, floor), _multiply(local_average, row["highest_share"]))

    def contribution(self, base: Decimal, rate: Decimal) -> Decimal:
        """`base` times `rate` to the fen, half up, in yuan."""
        return _quantize(_multiply(base, rate), FEN)

    def injury_rate(self, industry_class: int, month: date) -> Decimal:
        """The base rate of an industry class (1 to 8), a fraction. Raises StatutoryInputInvalid."""
        for row in self._tables.at("social_insurance.injury_rate_by_class", month):
            if row.position == industry_class:
                return row["rate"]
        raise StatutoryInputInvalid("industry classes are 1 to 8", field="injury_class")

    @property
    def resolved_months(self) -> int:
        """How many cities and months are kept resolved, at most MAX_RESOLVED."""
        return len(self._resolved)

    def _resolve(self, key: tuple[str, date, str | None]) -> _CityMonth:
        place, month, zone = key
        city, first = place.upper(), month.replace(day=1)
        if zone is not None and zone not in self._tables.zones(city) and self._tables.zones(city):
            raise MinimumWageZoneNeeded(
                f"{place} has the zones {', '.join(sorted(self._tables.zones(city)))}", field="minimum_wage_zone"
            )
        bounds: list[tuple[Decimal, Decimal]] = []
        employee: list[_Share] = []
        employer: list[_EmployerShare] = []
        classes = self._tables.at("social_insurance.injury_rate_by_class", first)
        for scheme in _INSURANCES:
            if scheme == "maternity" and not self._tables.published("social_insurance.base.maternity", city):
                continue  # a city that publishes no maternity base pays it inside the medical rate
            base = self._tables.row(f"social_insurance.base.{scheme}", first, city)
            pair = (base["floor"], base["ceiling"])
            group = bounds.index(pair) if pair in bounds else len(bounds)
            if group == len(bounds):
                bounds.append(pair)
            if scheme == "injury":
                spec = LineSpec("INJURY_EMPLOYER", "EMPLOYER_CONTRIBUTION", scheme, rules.INJURY, (base,))
                employer.append((group, spec, None))
                continue
            rates = self._tables.row(f"social_insurance.rate.{scheme}", first, city)
            code, rows = scheme.upper(), (base, rates)
            if (rate := rates.get("employee")) is not None:
                spec = LineSpec(f"{code}_EMPLOYEE", "DEDUCTION", scheme, rules.CONTRIBUTION_EMPLOYEE, rows)
                employee.append((group, spec, rate))
            if (rate := rates.get("employer")) is not None:
                spec = LineSpec(f"{code}_EMPLOYER", "EMPLOYER_CONTRIBUTION", scheme, rules.CONTRIBUTION_EMPLOYER, rows)
                employer.append((group, spec, rate))
        highest = max(_multiply(row["rate"], row["highest_factor"]) for row in classes)
        resolved = _CityMonth(tuple(bounds), tuple(employee), tuple(employer), highest, self._fund(city, first, zone))
        if len(self._resolved) >= MAX_RESOLVED:
            self._resolved.clear()
        self._resolved[key] = resolved
        return resolved

    def _fund(self, city: str, first: date, zone: str | None) -> _Fund:
        certain = True
        zoned = self._tables.places("housing_fund.base", city)
        if not zoned:
            base = self._tables.row("housing_fund.base", first, city)
        elif f"{city}/{zone}" in zoned:
            base = self._tables.row("housing_fund.base", first, f"{city}/{zone}")
        else:  # over the highest floor of any zone, the zone does not matter
            certain = False
            base = max((self._tables.row("housing_fund.base", first, place) for place in zoned), key=_floor)
        rates = self._tables.row("housing_fund.rate", first, city)
        rows = (base, rates)
        ordinary = _fund_specs("HOUSING_FUND", rules.HOUSING_FUND, rows)
        supplementary = _fund_specs("HOUSING_FUND_SUPPLEMENTARY", rules.HOUSING_FUND_SUPPLEMENTARY, rows)
        return _Fund(
            base["floor"], base["ceiling"], certain, rates, rates["lowest"], rates["highest"], ordinary, supplementary
        )


def _fund_specs(code: str, rule: Rule, rows: tuple[TableRow, ...]) -> tuple[LineSpec, LineSpec]:
    return (
        LineSpec(f"{code}_EMPLOYEE", "DEDUCTION", "housing_fund", rule, rows),
        LineSpec(f"{code}_EMPLOYER", "EMPLOYER_CONTRIBUTION", "housing_fund", rule, rows),
    )


def _floor(row: TableRow) -> Decimal:
    return row["floor"]


def _check_rate(rates: TableRow, rate: Decimal, lowest: str, highest: str, field: str) -> None:
    low, high = rates.get(lowest), rates.get(highest)
    if low is None or high is None:
        raise HousingFundRateOutOfRange(f"{rates.place} has no supplementary housing fund: use 0", field=field)
    if not low <= rate <= high:
        raise HousingFundRateOutOfRange(f"{rates.place} allows {low} to {high}", field=field)


def _zone_needed(enrolment: Enrolment) -> MinimumWageZoneNeeded:
    return MinimumWageZoneNeeded(
        f"the housing-fund floor of {enrolment.city} depends on the zone of the workplace", field="minimum_wage_zone"
    )
