"""Individual income tax on wages: cumulative withholding, and what is taxed beside it by its own rule."""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from contexts.payroll.domain.statutory.cn import rules
from contexts.payroll.domain.statutory.errors import StatutoryInputInvalid
from contexts.payroll.domain.statutory.exact import EXACT, FEN, ZERO
from contexts.payroll.domain.statutory.table import TableRow, Tables
from contexts.payroll.domain.statutory.trace import Line, LineSpec, Rule, explained

_MAX_RESOLVED = 1024

_add, _subtract, _multiply, _quantize = EXACT.add, EXACT.subtract, EXACT.multiply, EXACT.quantize
_new = tuple.__new__


class BasicDeduction(Enum):
    """From when the 5,000 a month counts for a resident."""

    MONTHS_EMPLOYED = "MONTHS_EMPLOYED"
    FIRST_JOB_FROM_JANUARY = "FIRST_JOB_FROM_JANUARY"
    SIXTY_THOUSAND_FROM_JANUARY = "SIXTY_THOUSAND_FROM_JANUARY"


class Remuneration(Enum):
    """Pay for work outside an employment."""

    LABOUR = "LABOUR"
    MANUSCRIPT = "MANUSCRIPT"
    ROYALTY = "ROYALTY"


class YearToDate(NamedTuple):
    """Totals of the tax year with this withholding agent before this month, in yuan, without bonuses taxed apart."""

    income: Decimal = ZERO
    contributions: Decimal = ZERO
    special_additional: Decimal = ZERO
    months: int = 0
    tax: Decimal = ZERO


NOTHING_YET = YearToDate()


@dataclass(frozen=True, slots=True)
class TaxPosition:
    """What one person's withholding of one month starts from. `special_additional` is yuan of this month.

    Invariants: `months` counts the months of this tax year with this withholding agent, this one included.
    """

    resident: bool = True
    basic_deduction: BasicDeduction = BasicDeduction.MONTHS_EMPLOYED
    special_additional: Decimal = ZERO
    months: int = 1
    prior: YearToDate = NOTHING_YET


class Withholding(NamedTuple):
    """The wage tax of one month, in yuan, and the totals that the next month starts from."""

    line: Line
    basic_deduction: Decimal  # to date for a resident, of the month otherwise
    taxable: Decimal  # to date for a resident, of the month otherwise; never negative
    year_to_date: YearToDate


@dataclass(frozen=True, slots=True)
class _Schedule:
    """A tax table resolved for one date. Invariants: the last bracket has no upper end."""

    rows: tuple[TableRow, ...]
    ends: tuple[Decimal, ...]
    rates: tuple[Decimal, ...]
    quick: tuple[Decimal, ...]

    @classmethod
    def of(cls, rows: tuple[TableRow, ...]) -> "_Schedule":
        return cls(
            rows,
            tuple(row["up_to"] for row in rows[:-1]),
            tuple(row["rate"] for row in rows),
            tuple(row["quick_deduction"] for row in rows),
        )

    def specs(self, code: str, rule: Rule, *more: TableRow) -> tuple[LineSpec, ...]:
        """One spec per bracket, its row first."""
        return tuple(LineSpec(code, "TAX", "iit", rule, (row, *more)) for row in self.rows)


@dataclass(frozen=True, slots=True)
class _PayDate:
    """The tax tables in force on one pay date."""

    annual: _Schedule
    monthly: _Schedule
    deduction_month: Decimal
    month: int
    months_employed: tuple[LineSpec, ...]
    non_resident: tuple[LineSpec, ...]
    severance: tuple[LineSpec, ...]


_January = tuple[Decimal, tuple[LineSpec, ...], tuple[Decimal | int, ...]]  # deduction to date, specs, values bound


class IncomeTax:
    """The income-tax tables of one edition, ready to be applied.

    Invariants: a table is looked up by the pay date, an exempt limit by the date of its event; at most a fixed number
    of resolved dates is kept, and what is kept never changes an answer.
    """

    __slots__ = ("_january", "_resolved", "_tables")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._resolved: dict[date, _PayDate] = {}
        self._january: dict[tuple[BasicDeduction, date], _January] = {}

    def withhold(
        self, position: TaxPosition, wage_income: Decimal, contributions: Decimal, pay_date: date
    ) -> Withholding:
        """The month's wage tax from this month's taxable wage and own contributions, in yuan.

        Raises StatutoryTableMissing. Source: STA Announcement 2018 No.61; 2020 No.13; 2020 No.19. A negative result is
        not refunded by the employer: it is 0 and stays in the totals to date.
        """
        on = self._resolved.get(pay_date) or self._resolve(pay_date)
        if not position.resident:
            return self._non_resident(position, wage_income, contributions, on)
        prior_income, prior_contributions, prior_special, _, prior_tax = position.prior
        special = position.special_additional
        income = prior_income + wage_income
        paid = prior_contributions + contributions
        specials = prior_special + special
        if position.basic_deduction is BasicDeduction.MONTHS_EMPLOYED:
            months = position.months
            basic = on.deduction_month * months
            specs = on.months_employed
            own: tuple[Decimal | int, ...] = (on.deduction_month, months)
        else:
            basic, specs, own = self._from_january(position.basic_deduction, on, pay_date)
        taxable = income - paid - specials - basic
        if taxable < ZERO:
            taxable = ZERO
        schedule = on.annual
        bracket = bisect_left(schedule.ends, taxable)
        rate, quick = schedule.rates[bracket], schedule.quick[bracket]
        to_date = taxable * rate - quick
        amount = _quantize(to_date - prior_tax, FEN)
        if amount < ZERO:
            amount = ZERO
        values = (
            prior_income, wage_income, prior_contributions, contributions, prior_special, special, prior_tax,
            rate, quick, *own, basic, taxable, to_date,
        )  # fmt: skip
        line = _new(Line, (specs[bracket], amount, taxable, rate, None, values))
        after = _new(YearToDate, (income, paid, specials, position.months, prior_tax + amount))
        return _new(Withholding, (line, basic, taxable, after))

    def separate_bonus(self, bonus: Decimal, pay_date: date) -> Line:
        """The tax of a resident's annual bonus taxed alone, in yuan. Raises StatutoryTableMissing after 2027-12-31.

        Source: MOF/STA 2023 No.30: bonus / 12 finds the row, the quick deduction counts once.
        """
        row = self._tables.row("iit.annual_bonus_separate", pay_date)
        schedule = _Schedule.of(self._tables.at("iit.monthly_table", pay_date))
        bracket = _bracket_of(schedule, bonus, row["months"])
        rate, quick = schedule.rates[bracket], schedule.quick[bracket]
        amount = _quantize(_subtract(_multiply(bonus, rate), quick), FEN)
        spec = LineSpec("BONUS_IIT", "TAX", "bonus_iit", rules.BONUS_SEPARATE, (schedule.rows[bracket], row))
        return explained(spec, amount, {"bonus": bonus}, rate)

    def separate_bonus_allowed(self, earlier: date | None, requested: date) -> bool:
        """Whether a bonus may be taxed alone on `requested`, after one on `earlier` (None: none yet).

        Source: 国税发〔2005〕9号 item 3: once per tax year and person.
        """
        in_force = self._tables.holds("iit.annual_bonus_separate", requested)
        return in_force and (earlier is None or earlier.year != requested.year)

    def multi_month_bonus(self, bonus: Decimal, pay_date: date) -> Line:
        """The tax of a non-resident's bonus for several months, in yuan. Source: MOF/STA 2019 No.35 art.3."""
        row = self._tables.row("iit.non_resident", pay_date)
        schedule = _Schedule.of(self._tables.at("iit.monthly_table", pay_date))
        months = row["bonus_months"]
        bracket = _bracket_of(schedule, bonus, months)
        rate, quick = schedule.rates[bracket], schedule.quick[bracket]
        amount = _quantize(_subtract(_multiply(bonus, rate), _multiply(quick, months)), FEN)
        spec = LineSpec("BONUS_IIT", "TAX", "bonus_iit", rules.BONUS_MULTI_MONTH, (schedule.rows[bracket], row))
        return explained(spec, amount, {"bonus": bonus}, rate)

    def severance(self, severance: Decimal, exempt_limit: Decimal, pay_date: date) -> Line:
        """The tax of a severance over its exempt limit, in yuan. Source: 财税〔2018〕164号 art.5(1)."""
        on = self._resolved.get(pay_date) or self._resolve(pay_date)
        taxable = max(ZERO, _subtract(severance, exempt_limit))
        bracket = bisect_left(on.annual.ends, taxable)
        rate, quick = on.annual.rates[bracket], on.annual.quick[bracket]
        amount = _quantize(_subtract(_multiply(taxable, rate), quick), FEN)
        values = (severance, exempt_limit, rate, quick, taxable)
        return Line(on.severance[bracket], amount, taxable, rate, None, values)

    def severance_exempt_limit(self, local_average_year: Decimal, event_date: date) -> Decimal:
        """What of a severance is free of tax, in yuan, from the local average wage of a year."""
        return _multiply(local_average_year, self._tables.row("iit.severance", event_date)["exempt_years"])

    def severance_exempt_limit_from_month(self, local_average_month: Decimal, event_date: date) -> Decimal:
        """What of a severance is free of tax, in yuan, from the local average wage of a month."""
        return _multiply(local_average_month, self._tables.row("iit.severance", event_date)["exempt_months"])

    def severance_exempt_limit_of(self, city: str, event_date: date) -> Decimal:
        """What of a severance is free of tax in a city, in yuan. Raises StatutoryTableMissing."""
        place = city.upper()
        if self._tables.published("average_wage.month", place):
            average = self._tables.row("average_wage.month", event_date, place)["amount"]
            return self.severance_exempt_limit_from_month(average, event_date)
        average = self._tables.row("average_wage.year", event_date, place)["amount"]
        return self.severance_exempt_limit(average, event_date)

    def early_retirement(self, subsidy: Decimal, years: Decimal, pay_date: date) -> Line:
        """The tax of a one-off subsidy for retiring `years` early, in yuan. Raises StatutoryInputInvalid.

        Source: 财税〔2018〕164号 art.5(2).
        """
        if years <= 0:
            raise StatutoryInputInvalid("give the years to the statutory age", field="years_before_statutory_age")
        row = self._tables.row("iit.early_retirement", pay_date)
        schedule = _Schedule.of(self._tables.at("iit.annual_table", pay_date))
        taxable = max(ZERO, _subtract(subsidy, _multiply(row["deduction"], years)))
        bracket = _bracket_of(schedule, taxable, years)
        rate, quick = schedule.rates[bracket], schedule.quick[bracket]
        amount = _quantize(_subtract(_multiply(taxable, rate), _multiply(quick, years)), FEN)
        spec = LineSpec("EARLY_RETIREMENT_IIT", "TAX", "iit", rules.EARLY_RETIREMENT_TAX, (schedule.rows[bracket], row))
        named = {"subsidy": subsidy, "years_before_statutory_age": years, "taxable": taxable}
        return explained(spec, amount, named, rate)

    def comprehensive_year(
        self,
        monthly_salary: Decimal,
        labour_remuneration: Decimal,
        monthly_contributions: Decimal,
        special_additional_year: Decimal,
        tax_year: int,
    ) -> Line:
        """The tax of a resident's whole year, in yuan; the line's base is the taxable income.

        Source: IIT Law 2018 arts. 3, 6.
        """
        last_day = date(tax_year, 12, 31)
        row = self._tables.row("iit.comprehensive", last_day)
        schedule = _Schedule.of(self._tables.at("iit.annual_table", last_day))
        months = row["months"]
        income = _add(_multiply(monthly_salary, months), _multiply(labour_remuneration, row["taken_of_labour"]))
        deducted = _add(_add(row["deduction"], _multiply(monthly_contributions, months)), special_additional_year)
        taxable = max(ZERO, _subtract(income, deducted))
        bracket = bisect_left(schedule.ends, taxable)
        rate, quick = schedule.rates[bracket], schedule.quick[bracket]
        amount = _quantize(_subtract(_multiply(taxable, rate), quick), FEN)
        spec = LineSpec("ANNUAL_IIT", "TAX", "iit", rules.ANNUAL_TAX, (schedule.rows[bracket], row))
        named = {
            "monthly_salary": monthly_salary,
            "labour_remuneration": labour_remuneration,
            "monthly_contributions": monthly_contributions,
            "special_additional": special_additional_year,
            "taxable": taxable,
        }
        return explained(spec, amount, named, rate)

    def remuneration(self, income: Decimal, kind: Remuneration, pay_date: date) -> Line:
        """What is withheld from a resident's labour, manuscript or royalty income, in yuan.

        Source: STA Announcement 2018 No.61 art.8.
        """
        row = self._tables.row("iit.labour_remuneration", pay_date)
        small = income <= row["small_income"]
        if small:
            taxable = max(ZERO, _subtract(income, row["small_deduction"]))
        else:
            taxable = _subtract(income, _multiply(income, row["deduction_rate"]))
        if kind is Remuneration.MANUSCRIPT:
            taxable = _multiply(taxable, row["taken_of_manuscript"])
        rule = rules.REMUNERATION[kind.value, small]
        if kind is not Remuneration.LABOUR:
            rate = row["flat_rate"]
            spec = LineSpec("REMUNERATION_IIT", "TAX", "iit", rule, (row,))
            return explained(
                spec, _quantize(_multiply(taxable, rate), FEN), {"income": income, "taxable": taxable}, rate
            )
        schedule = _Schedule.of(self._tables.at("iit.labour_remuneration_resident_withholding", pay_date))
        bracket = bisect_left(schedule.ends, taxable)
        rate, quick = schedule.rates[bracket], schedule.quick[bracket]
        spec = LineSpec("REMUNERATION_IIT", "TAX", "iit", rule, (row, schedule.rows[bracket]))
        amount = _quantize(_subtract(_multiply(taxable, rate), quick), FEN)
        return explained(spec, amount, {"income": income, "taxable": taxable}, rate)

    def non_resident_remuneration(self, income: Decimal, kind: Remuneration, pay_date: date) -> Line:
        """What is withheld from a non-resident's labour, manuscript or royalty income, in yuan.

        Source: STA Announcement 2018 No.61.
        """
        row = self._tables.row("iit.non_resident", pay_date)
        schedule = _Schedule.of(self._tables.at("iit.monthly_table", pay_date))
        taxable = _multiply(income, row["taken_of_labour"])
        if kind is Remuneration.MANUSCRIPT:
            taxable = _multiply(taxable, row["taken_of_manuscript"])
        bracket = bisect_left(schedule.ends, taxable)
        rate, quick = schedule.rates[bracket], schedule.quick[bracket]
        rule = rules.REMUNERATION_NON_RESIDENT[kind is Remuneration.MANUSCRIPT]
        spec = LineSpec("REMUNERATION_IIT", "TAX", "iit", rule, (schedule.rows[bracket], row))
        amount = _quantize(_subtract(_multiply(taxable, rate), quick), FEN)
        return explained(spec, amount, {"income": income, "taxable": taxable}, rate)

    def housing_deductions_accepted(self, rent: Decimal, mortgage_interest: Decimal) -> bool:
        """Whether both housing deductions of a month stand together. Source: 国发〔2018〕41号 art.20: never both."""
        return rent <= ZERO or mortgage_interest <= ZERO

    def _from_january(self, rule: BasicDeduction, on: _PayDate, pay_date: date) -> _January:
        known = self._january.get((rule, pay_date))
        if known is not None:
            return known
        if rule is BasicDeduction.FIRST_JOB_FROM_JANUARY:
            deduction = self._tables.row("iit.basic_deduction_month", pay_date)
            row = self._tables.row("iit.first_job_in_year", pay_date)
            since = row["from_month"]
            months = _add(_subtract(Decimal(on.month), since), Decimal(1))
            specs = on.annual.specs("IIT", rules.IIT_FIRST_JOB, deduction, row)
            found: _January = (
                _multiply(on.deduction_month, months), specs, (on.deduction_month, on.month, since)
            )  # fmt: skip
        else:
            row = self._tables.row("iit.sixty_thousand", pay_date)
            found = row["amount"], on.annual.specs("IIT", rules.IIT_SIXTY_THOUSAND, row), (row["amount"],)
        if len(self._january) >= _MAX_RESOLVED:
            self._january.clear()
        self._january[rule, pay_date] = found
        return found

    def _non_resident(
        self, position: TaxPosition, wage_income: Decimal, contributions: Decimal, on: _PayDate
    ) -> Withholding:
        taxable = max(ZERO, _subtract(wage_income, on.deduction_month))
        bracket = bisect_left(on.monthly.ends, taxable)
        rate, quick = on.monthly.rates[bracket], on.monthly.quick[bracket]
        amount = _quantize(_subtract(_multiply(taxable, rate), quick), FEN)
        values = (wage_income, rate, quick, on.deduction_month, taxable)
        line = Line(on.non_resident[bracket], amount, taxable, rate, None, values)
        prior = position.prior
        after = YearToDate(
            _add(prior.income, wage_income),
            _add(prior.contributions, contributions),
            _add(prior.special_additional, position.special_additional),
            position.months,
            _add(prior.tax, amount),
        )
        return Withholding(line, on.deduction_month, taxable, after)

    def _resolve(self, pay_date: date) -> _PayDate:
        annual = _Schedule.of(self._tables.at("iit.annual_table", pay_date))
        monthly = _Schedule.of(self._tables.at("iit.monthly_table", pay_date))
        deduction = self._tables.row("iit.basic_deduction_month", pay_date)
        resolved = _PayDate(
            annual,
            monthly,
            deduction["amount"],
            pay_date.month,
            annual.specs("IIT", rules.IIT_MONTHS_EMPLOYED, deduction),
            monthly.specs("IIT", rules.IIT_NON_RESIDENT, deduction),
            annual.specs("SEVERANCE_IIT", rules.SEVERANCE_TAX),
        )
        if len(self._resolved) >= _MAX_RESOLVED:
            self._resolved.clear()
        self._resolved[pay_date] = resolved
        return resolved


def _bracket_of(schedule: _Schedule, amount: Decimal, parts: Decimal) -> int:
    """The bracket that `amount / parts` falls in, found without dividing."""
    return bisect_left([_multiply(end, parts) for end in schedule.ends], amount)
