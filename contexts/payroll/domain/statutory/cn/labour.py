"""Wages by the labour law: part months by 21.75, overtime, unused leave, severance, floors and limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from contexts.payroll.domain.statutory.cn import rules
from contexts.payroll.domain.statutory.errors import MinimumWageZoneNeeded, StatutoryInputInvalid
from contexts.payroll.domain.statutory.exact import EXACT, FEN, ZERO
from contexts.payroll.domain.statutory.table import TableRow, Tables
from contexts.payroll.domain.statutory.trace import Line, LineSpec, Rule, explained

_MAX_RESOLVED = 1024
_MAX_SEGMENTS = 62  # two a day: no month has more pieces of constant pay

_add, _subtract, _multiply, _divide, _quantize = (
    EXACT.add, EXACT.subtract, EXACT.multiply, EXACT.divide, EXACT.quantize
)  # fmt: skip


class Proration(Enum):
    """How the wage of a month follows from what was worked of it."""

    NONE = "NONE"
    PAID_DAYS_21_75 = "PAID_DAYS_21_75"
    UNPAID_DAYS_21_75 = "UNPAID_DAYS_21_75"
    WORKING_DAYS = "WORKING_DAYS"


class DayKind(Enum):
    """What kind of day overtime was worked on; a rest day counts where no other day off is given for it."""

    WORKDAY = "WORKDAY"
    REST_DAY = "REST_DAY"
    HOLIDAY = "HOLIDAY"


class Ground(Enum):
    """Why severance is due, by the article of the Labour Contract Law."""

    ART_46 = "ART_46"  # the ordinary compensation
    ART_40 = "ART_40"  # with a month's wage in place of notice
    ART_87 = "ART_87"  # unlawful termination: twice


@dataclass(frozen=True, slots=True)
class WageSegment:
    """A piece of a month with one monthly wage in yuan, and the working days in it."""

    monthly_wage: Decimal
    working_days: Decimal


class DayRate(NamedTuple):
    """What a day and an hour of a monthly wage are worth, in yuan, each rounded from the unrounded value."""

    daily: Decimal
    hourly: Decimal
    paid_days_month: Decimal
    working_days_month: Decimal


class SeveranceDue(NamedTuple):
    """A severance in yuan and how it came about: monthly wage counted, months counted."""

    amount: Decimal
    monthly: Decimal
    months: Decimal


class LeaveCashOut(NamedTuple):
    """Unused annual leave at the end of an employment: days, and the extra pay in yuan."""

    entitled_days: Decimal
    prorated_days: Decimal
    pay: Line


class OvertimeDecision(NamedTuple):
    """Whether overtime may be worked, and the limit that forbids it."""

    accepted: bool
    rule: str | None


@dataclass(frozen=True, slots=True)
class _WorkDate:
    days: TableRow
    paid_days_month: Decimal
    hours_day: Decimal
    hour_divisor: Decimal
    overtime: dict[DayKind, tuple[LineSpec, Decimal]]
    paid_days: LineSpec
    unpaid_days: LineSpec
    deduction: LineSpec


_OVERTIME_CODES = {
    DayKind.WORKDAY: "OVERTIME_WORKDAY",
    DayKind.REST_DAY: "OVERTIME_REST_DAY",
    DayKind.HOLIDAY: "OVERTIME_HOLIDAY",
}


def _earning(code: str, rule: Rule, *rows: TableRow) -> LineSpec:
    return LineSpec(code, "EARNING", "wage", rule, rows)


_WHOLE = _earning("BASE", rules.BASE_WHOLE)
_BY_WORKING_DAYS = _earning("BASE", rules.BASE_WORKING_DAYS)
_MATERNITY = _earning("MATERNITY_ALLOWANCE_OFFSET", rules.MATERNITY_OFFSET)
_OTHER = _earning("OTHER_TAXABLE", rules.OTHER_TAXABLE)


class LabourStandards:
    """The labour tables of one edition, ready to be applied.

    Invariants: days, hours and overtime are looked up by the work date, severance and leave by the date of their event;
    at most a fixed number of resolved dates is kept, and what is kept never changes an answer.
    """

    __slots__ = ("_resolved", "_tables")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._resolved: dict[date, _WorkDate] = {}

    # -- wages ---------------------------------------------------------------------------------------------------------

    def whole_month(self, monthly_wage: Decimal) -> Line:
        """The whole monthly wage, in yuan."""
        return Line(_WHOLE, _quantize(monthly_wage, FEN), monthly_wage, None, None, (monthly_wage,))

    def paid_days(self, monthly_wage: Decimal, days_paid: Decimal, work_date: date) -> Line:
        """The wage of a number of paid days: monthly wage / 21.75 x days, in yuan. Source: 人社部发〔2025〕2号."""
        on = self._on(work_date)
        amount = _quantize(_divide(_multiply(monthly_wage, days_paid), on.paid_days_month), FEN)
        return Line(on.paid_days, amount, monthly_wage, None, days_paid, (monthly_wage, days_paid, on.paid_days_month))

    def unpaid_days(self, monthly_wage: Decimal, unpaid_days: Decimal, work_date: date) -> Line:
        """The monthly wage less its unpaid days at 1/21.75 each, in yuan. Source: 人社部发〔2025〕2号."""
        on = self._on(work_date)
        off = _divide(_multiply(monthly_wage, unpaid_days), on.paid_days_month)
        amount = _quantize(_subtract(monthly_wage, off), FEN)
        values = (monthly_wage, unpaid_days, on.paid_days_month)
        return Line(on.unpaid_days, amount, monthly_wage, None, unpaid_days, values)

    def unpaid_deduction(self, monthly_wage: Decimal, unpaid_days: Decimal, work_date: date) -> Line:
        """What unpaid days take off a monthly wage, as a positive amount in yuan. Source: 人社部发〔2025〕2号."""
        on = self._on(work_date)
        amount = _quantize(_divide(_multiply(monthly_wage, unpaid_days), on.paid_days_month), FEN)
        values = (monthly_wage, unpaid_days, on.paid_days_month)
        return Line(on.deduction, amount, monthly_wage, None, unpaid_days, values)

    def working_days(self, segments: Sequence[WageSegment], period_working_days: Decimal) -> tuple[Line, ...]:
        """One line per segment, wage x days / working days of the period, adding up to the rounded whole; in yuan.

        Raises StatutoryInputInvalid for a period without working days or more than 62 segments.
        """
        if period_working_days <= 0:
            raise StatutoryInputInvalid("a period needs a working day", field="period_working_days")
        if not 0 < len(segments) <= _MAX_SEGMENTS:
            raise StatutoryInputInvalid(f"give 1 to {_MAX_SEGMENTS} segments", field="segments")
        lines = []
        before, paid = ZERO, _quantize(ZERO, FEN)
        for segment in segments:
            wage, days = segment.monthly_wage, segment.working_days
            weighted = _add(before, _multiply(wage, days))
            to_here = _quantize(_divide(weighted, period_working_days), FEN)
            values = (wage, days, period_working_days, before, weighted)
            lines.append(Line(_BY_WORKING_DAYS, _subtract(to_here, paid), wage, None, days, values))
            before, paid = weighted, to_here
        return tuple(lines)

    def maternity_offset(self, base: Decimal, allowance_paid_by_fund: Decimal) -> Line:
        """What the fund's allowance takes off the wage, as a negative amount in yuan; never more than the wage."""
        amount = _quantize(_subtract(ZERO, min(base, allowance_paid_by_fund)), FEN)
        return Line(_MATERNITY, amount, base, None, None, (base, allowance_paid_by_fund))

    def other_taxable(self, given: Decimal) -> Line:
        """A taxable amount as it was given, to the fen, in yuan."""
        return Line(_OTHER, _quantize(given, FEN), given, None, None, (given,))

    def overtime(self, monthly_wage: Decimal, hours: Decimal, day: DayKind, work_date: date) -> Line:
        """Overtime of one kind of day: monthly wage / 21.75 / 8 x 1.5, 2 or 3 x hours, in yuan.

        Source: Labour Law art.44; 人社部发〔2025〕2号.
        """
        on = self._on(work_date)
        spec, factor = on.overtime[day]
        amount = _quantize(_divide(_multiply(_multiply(monthly_wage, hours), factor), on.hour_divisor), FEN)
        values = (monthly_wage, hours, on.paid_days_month, on.hours_day, factor)
        return Line(spec, amount, monthly_wage, factor, hours, values)

    def day_rate(self, monthly_wage: Decimal, work_date: date) -> DayRate:
        """What a day and an hour of the wage are worth, in yuan. Source: 人社部发〔2025〕2号."""
        on = self._on(work_date)
        return DayRate(
            _quantize(_divide(monthly_wage, on.paid_days_month), FEN),
            _quantize(_divide(monthly_wage, on.hour_divisor), FEN),
            on.paid_days_month,
            on.days["working_days_month"],
        )

    def overtime_request(self, day_hours: Decimal, month_hours_before: Decimal, work_date: date) -> OvertimeDecision:
        """Whether more overtime may be agreed on a day, hours in all. Source: Labour Law art.41."""
        row = self._tables.row("labour.overtime", work_date)
        if day_hours > row["max_day_hours"]:
            return OvertimeDecision(False, f"MAX_{row['max_day_hours']}_HOURS_PER_DAY")
        if _add(month_hours_before, day_hours) > row["max_month_hours"]:
            return OvertimeDecision(False, f"MAX_{row['max_month_hours']}_HOURS_PER_MONTH")
        return OvertimeDecision(True, None)

    # -- annual leave --------------------------------------------------------------------------------------------------

    def annual_leave_days(self, hire_date: date, as_of: date, prior_service_months: Decimal) -> Decimal:
        """The annual leave of somebody on a day, in days a year, by months of work with all employers.

        Source: 职工带薪年休假条例 art.3.
        """
        worked = _add(Decimal(_whole_months(hire_date, as_of)), prior_service_months)
        days = ZERO
        for band in self._tables.at("labour.annual_leave", as_of):
            if worked >= band["from_months"]:
                days = band["days"]
        return days

    def unused_leave(self, average_monthly_wage: Decimal, days: Decimal, event_date: date) -> Line:
        """The extra 200% for days of annual leave not taken, from the 12-month average wage, in yuan.

        Source: 企业职工带薪年休假实施办法 arts.10-11.
        """
        standard = self._tables.row("labour.days", event_date)
        row = self._tables.row("labour.unused_leave", event_date)
        exact = _multiply(_multiply(average_monthly_wage, row["extra_factor"]), days)
        amount = _quantize(_divide(exact, standard["paid_days_month"]), FEN)
        spec = _earning("UNUSED_ANNUAL_LEAVE", rules.UNUSED_LEAVE, standard, row)
        named = {"average_monthly_wage": average_monthly_wage, "days": days}
        return explained(spec, amount, named, row["extra_factor"], days)

    def leave_cash_out(
        self,
        hire_date: date,
        exit_date: date,
        prior_service_months: Decimal,
        average_monthly_wage: Decimal,
        days_taken: Decimal,
    ) -> LeaveCashOut:
        """The unused annual leave of somebody whose last day is `exit_date`; days taken too many are not asked back.

        Source: 企业职工带薪年休假实施办法 art.12: days employed this year / 365 x entitlement, part day dropped.
        """
        if exit_date < hire_date:
            raise StatutoryInputInvalid("nobody leaves before they came", field="exit_date")
        row = self._tables.row("labour.unused_leave", exit_date)
        entitled = self.annual_leave_days(hire_date, exit_date, prior_service_months)
        since = max(hire_date, date(exit_date.year, 1, 1))
        employed = Decimal((exit_date - since).days + 1)
        prorated = _divide(_multiply(employed, entitled), row["year_days"]).to_integral_value("ROUND_DOWN")
        unused = max(ZERO, _subtract(prorated, days_taken))
        return LeaveCashOut(entitled, prorated, self.unused_leave(average_monthly_wage, unused, exit_date))

    # -- the end of an employment, floors, duties ----------------------------------------------------------------------

    def severance(
        self,
        service_months: Decimal,
        average_monthly_wage: Decimal,
        local_average_month: Decimal,
        ground: Ground,
        last_month_wage: Decimal,
        event_date: date,
    ) -> SeveranceDue:
        """The severance of somebody after `service_months`, in yuan. Source: Labour Contract Law arts. 40, 47, 87."""
        if service_months < 0 or local_average_month <= 0:
            raise StatutoryInputInvalid("service and the local average wage are positive", field="service_months")
        row = self._tables.row("labour.severance", event_date)
        years = _divide(service_months, Decimal(12)).to_integral_value("ROUND_DOWN")
        rest = _subtract(service_months, _multiply(years, Decimal(12)))
        months = years
        if rest > 0:
            months = _add(years, row["half"] if rest < row["half_below_months"] else Decimal(1))
        monthly = average_monthly_wage
        cap = _multiply(local_average_month, row["cap_factor"])
        if monthly > cap:
            monthly, months = cap, min(months, row["cap_months"])
        amount = _multiply(monthly, months)
        if ground is Ground.ART_87:
            amount = _multiply(amount, row["unlawful_factor"])
        elif ground is Ground.ART_40:
            amount = _add(amount, last_month_wage)
        return SeveranceDue(_quantize(amount, FEN), monthly, months)

    def minimum_wage_month(self, city: str, zone: str | None, work_date: date) -> Decimal:
        """The lowest monthly wage of a place, in yuan. Raises StatutoryTableMissing, MinimumWageZoneNeeded."""
        return self._minimum("minimum_wage.month", city, zone, work_date)

    def minimum_wage_hour(self, city: str, zone: str | None, work_date: date) -> Decimal:
        """The lowest hourly wage of a place, in yuan. Raises StatutoryTableMissing, MinimumWageZoneNeeded."""
        return self._minimum("minimum_wage.hour", city, zone, work_date)

    def registration_due(self, hire_date: date) -> date:
        """The last day to register a hire with social insurance. Source: Social Insurance Law art.58."""
        return hire_date + timedelta(days=int(self._tables.row("labour.registration", hire_date)["register_days"]))

    def union_funds(self, wages: Decimal, day: date) -> Decimal:
        """The employer's union funds on wages, in yuan. Source: Trade Union Law art.43."""
        return _quantize(_multiply(wages, self._tables.row("labour.registration", day)["union_rate"]), FEN)

    def _minimum(self, table: str, city: str, zone: str | None, work_date: date) -> Decimal:
        place = city.upper()
        zoned = self._tables.places(table, place)
        if zoned and f"{place}/{zone}" not in zoned:
            names = ", ".join(name.partition("/")[2] for name in zoned)
            raise MinimumWageZoneNeeded(f"{city} has the zones {names}", field="minimum_wage_zone")
        return self._tables.row(table, work_date, f"{place}/{zone}" if zoned else place)["amount"]

    def _on(self, work_date: date) -> _WorkDate:
        return self._resolved.get(work_date) or self._resolve(work_date)

    def _resolve(self, work_date: date) -> _WorkDate:
        days = self._tables.row("labour.days", work_date)
        overtime = self._tables.row("labour.overtime", work_date)
        resolved = _WorkDate(
            days,
            days["paid_days_month"],
            days["hours_day"],
            _multiply(days["paid_days_month"], days["hours_day"]),
            {
                kind: (
                    _earning(code, rules.OVERTIME_BY_DAY[kind.value.lower()], days, overtime),
                    overtime[kind.value.lower()],
                )
                for kind, code in _OVERTIME_CODES.items()
            },
            _earning("BASE", rules.BASE_PAID_DAYS, days),
            _earning("BASE", rules.BASE_UNPAID_DAYS, days),
            _earning("UNPAID_LEAVE", rules.UNPAID_DEDUCTION, days),
        )
        if len(self._resolved) >= _MAX_RESOLVED:
            self._resolved.clear()
        self._resolved[work_date] = resolved
        return resolved


def _whole_months(start: date, as_of: date) -> int:
    """Whole months from `start` to `as_of`; the month is full on the day with the same number."""
    months = (as_of.year - start.year) * 12 + as_of.month - start.month
    return max(0, months - (as_of.day < start.day))
