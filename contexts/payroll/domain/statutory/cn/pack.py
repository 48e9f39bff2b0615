"""China's statutory pack: one person's month from wage to net pay, composed of the rules and tables beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from contexts.payroll.domain.statutory.cn.contributions import Contributions, Enrolment, SocialInsurance
from contexts.payroll.domain.statutory.cn.income_tax import IncomeTax, TaxPosition, Withholding, YearToDate
from contexts.payroll.domain.statutory.cn.labour import DayKind, LabourStandards, Proration, WageSegment
from contexts.payroll.domain.statutory.cn.rules import RULES
from contexts.payroll.domain.statutory.cn.tables import TABLES
from contexts.payroll.domain.statutory.errors import StatutoryInputInvalid, StatutoryRuleUnknown
from contexts.payroll.domain.statutory.exact import EXACT, FEN, ZERO
from contexts.payroll.domain.statutory.table import Tables
from contexts.payroll.domain.statutory.trace import Line, LineKind, RuleText

_add, _subtract, _quantize = EXACT.add, EXACT.subtract, EXACT.quantize
_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class MonthPay:
    """What one person is paid for a month, in yuan: taxable wages, and what is taxed beside them or not at all."""

    wage_income: Decimal
    annual_bonus_separate: Decimal = ZERO
    multi_month_bonus: Decimal = ZERO  # non-residents only
    severance_income: Decimal = ZERO
    severance_exempt_limit: Decimal = ZERO
    exempt_income: Decimal = ZERO


class MonthAssessment(NamedTuple):
    """One person's statutory month, in yuan, with every line explained.

    Sums are made when asked, because a payslip adds its own lines.
    """

    lines: tuple[Line, ...]  # own contributions, employer's, then taxes
    pay: MonthPay
    contributions: Contributions
    withholding: Withholding
    bonus_iit: Decimal
    severance_iit: Decimal

    @property
    def iit(self) -> Decimal:
        """The tax of the wage."""
        return self.withholding.line.amount

    @property
    def year_to_date(self) -> YearToDate:
        """The totals that the next month starts from."""
        return self.withholding.year_to_date

    @property
    def gross(self) -> Decimal:
        """Everything paid before contributions and taxes."""
        pay = self.pay
        beside = _add(_add(pay.annual_bonus_separate, pay.multi_month_bonus), pay.severance_income)
        return _add(_add(pay.wage_income, pay.exempt_income), beside)

    @property
    def net(self) -> Decimal:
        """Gross less own contributions and all taxes."""
        taxes = _add(_add(self.iit, self.bonus_iit), self.severance_iit)
        return _subtract(_subtract(self.gross, self.contributions.employee_total), taxes)

    @property
    def employer_cost(self) -> Decimal:
        """Gross and the employer's contributions."""
        return _add(self.gross, self.contributions.employer_total)


@dataclass(frozen=True, slots=True)
class WageParts:
    """What the taxable wage of a month is made of: yuan, days, hours."""

    proration: Proration = Proration.NONE
    monthly_wage: Decimal | None = None
    days_paid: Decimal = ZERO
    unpaid_days: Decimal = ZERO
    segments: Sequence[WageSegment] = ()
    period_working_days: Decimal = ZERO
    overtime_hours: Mapping[DayKind, Decimal] = field(default_factory=dict)
    other_taxable: Decimal = ZERO
    maternity_allowance_paid_by_fund: Decimal = ZERO
    unused_annual_leave_days: Decimal = ZERO
    average_monthly_wage_12m: Decimal | None = None


class WageIncome(NamedTuple):
    """The taxable wage of a month in yuan, its earning lines, and the overtime in it."""

    total: Decimal
    lines: tuple[Line, ...]
    overtime_pay: Decimal
    hourly_base: Decimal | None


class MinimumWageCheck(NamedTuple):
    """A wage against the local floor, in yuan."""

    accepted: bool
    net_of_contributions: Decimal
    contributions: Decimal


class HireDuties(NamedTuple):
    """What a hire obliges the employer to do, amounts in yuan of the month."""

    registration_due: date
    housing_fund_remittance: Decimal
    social_insurance_declaration: Decimal
    union_funds: Decimal


class ChinaPack:
    """The law of payroll in China at one edition of its tables.

    Invariants: every function is pure: the same arguments give the same answer, whatever was asked before; `version`
    changes with any value of any table row.
    """

    country = "CN"
    currency = "CNY"
    kinds: Mapping[str, LineKind] = MappingProxyType(
        {
            **dict.fromkeys(("PENSION_EMPLOYEE", "MEDICAL_EMPLOYEE", "UNEMPLOYMENT_EMPLOYEE"), "DEDUCTION"),
            **dict.fromkeys(("HOUSING_FUND_EMPLOYEE", "HOUSING_FUND_SUPPLEMENTARY_EMPLOYEE"), "DEDUCTION"),
            **dict.fromkeys(("PENSION_EMPLOYER", "MEDICAL_EMPLOYER", "MATERNITY_EMPLOYER"), "EMPLOYER_CONTRIBUTION"),
            **dict.fromkeys(("UNEMPLOYMENT_EMPLOYER", "INJURY_EMPLOYER"), "EMPLOYER_CONTRIBUTION"),
            **dict.fromkeys(("HOUSING_FUND_EMPLOYER", "HOUSING_FUND_SUPPLEMENTARY_EMPLOYER"), "EMPLOYER_CONTRIBUTION"),
            **dict.fromkeys(("IIT", "BONUS_IIT", "SEVERANCE_IIT"), "TAX"),
        }
    )  # every line that assess_month may give

    __slots__ = ("income_tax", "labour", "social_insurance", "tables", "version")

    def __init__(self, tables: Tables = TABLES) -> None:
        self.tables = tables
        self.version = f"CN-{tables.edition:%Y.%m}+{tables.fingerprint[:12]}"
        self.social_insurance = SocialInsurance(tables)
        self.income_tax = IncomeTax(tables)
        self.labour = LabourStandards(tables)

    def describe(self, rule: str, rows: Sequence[str]) -> RuleText:
        """A stored line's rule in words, from its rule id and row keys.

        Raises StatutoryRuleUnknown, StatutoryTableMissing where the line is of another edition.
        """
        found = RULES.get(rule)
        if found is None:
            raise StatutoryRuleUnknown(f"there is no statutory rule {rule} in {self.version}", rule=rule)
        return RuleText.of(found, tuple(map(self.tables.by_key, rows)))

    def assess_month(
        self, enrolment: Enrolment, position: TaxPosition, pay: MonthPay, contribution_month: date, pay_date: date
    ) -> MonthAssessment:
        """Contributions, taxes, gross and net of one person and month.

        `contribution_month` is any day of the month that is insured. Raises StatutoryTableMissing and what
        SocialInsurance.assess raises. Source: the rules and rows of each line.
        """
        contributions = self.social_insurance.assess(enrolment, contribution_month)
        withheld = self.income_tax.withhold(position, pay.wage_income, contributions.employee_total, pay_date)
        lines = (*contributions.lines, withheld.line)
        bonus_iit = severance_iit = ZERO
        if pay.annual_bonus_separate:
            line = self.income_tax.separate_bonus(pay.annual_bonus_separate, pay_date)
            bonus_iit, lines = line.amount, (*lines, line)
        if pay.multi_month_bonus:
            line = self.income_tax.multi_month_bonus(pay.multi_month_bonus, pay_date)
            bonus_iit, lines = _add(bonus_iit, line.amount), (*lines, line)
        if pay.severance_income:
            line = self.income_tax.severance(pay.severance_income, pay.severance_exempt_limit, pay_date)
            severance_iit, lines = line.amount, (*lines, line)
        return _new(MonthAssessment, (lines, pay, contributions, withheld, bonus_iit, severance_iit))

    def wage_income(self, parts: WageParts, work_date: date) -> WageIncome:
        """The taxable wage of a month from its parts, each rounded to the fen half up.

        Raises StatutoryInputInvalid where a part lacks what it is computed from. Source: 人社部发〔2025〕2号;
        Labour Law art.44; 企业职工带薪年休假实施办法 art.10.
        """
        lines = [*self._base(parts, work_date)]
        if parts.maternity_allowance_paid_by_fund:
            base = _total(lines)
            lines.append(self.labour.maternity_offset(base, parts.maternity_allowance_paid_by_fund))
        overtime: list[Line] = []
        for day, hours in parts.overtime_hours.items():
            wage = _needed(parts.monthly_wage, "monthly_wage")
            overtime.append(self.labour.overtime(wage, hours, day, work_date))
        lines += overtime
        if parts.other_taxable:
            lines.append(self.labour.other_taxable(parts.other_taxable))
        if parts.unused_annual_leave_days:
            average = _needed(parts.average_monthly_wage_12m, "average_monthly_wage_12m")
            lines.append(self.labour.unused_leave(average, parts.unused_annual_leave_days, work_date))
        hourly = None
        if parts.monthly_wage is not None:
            hourly = self.labour.day_rate(parts.monthly_wage, work_date).hourly
        return WageIncome(_total(lines), tuple(lines), _total(overtime), hourly)

    def wage_above_minimum(self, enrolment: Enrolment, monthly_wage: Decimal, month: date) -> MinimumWageCheck:
        """Whether a monthly wage (without heat and similar allowances), net of own contributions, reaches the floor."""
        own = self.social_insurance.assess(enrolment, month).employee_total
        left = _subtract(monthly_wage, own)
        floor = self.labour.minimum_wage_month(enrolment.city, enrolment.minimum_wage_zone, month)
        return MinimumWageCheck(left >= floor, left, own)

    def hourly_wage_above_minimum(self, city: str, zone: str | None, hourly_rate: Decimal, work_date: date) -> bool:
        """Whether an hourly wage in yuan reaches the floor of its place. Raises MinimumWageZoneNeeded."""
        return hourly_rate >= self.labour.minimum_wage_hour(city, zone, work_date)

    def hire_duties(self, enrolment: Enrolment, monthly_wage: Decimal, hire_date: date, month: date) -> HireDuties:
        """What a hire obliges the employer to register and to remit for the month, both sides together, in yuan."""
        assessed = self.social_insurance.assess(enrolment, month)
        fund = insurance = ZERO
        for line in assessed.lines:
            if line.spec.scheme == "housing_fund":
                fund = _add(fund, line.amount)
            else:
                insurance = _add(insurance, line.amount)
        due = self.labour.registration_due(hire_date)
        return HireDuties(due, fund, insurance, self.labour.union_funds(monthly_wage, month))

    def _base(self, parts: WageParts, work_date: date) -> tuple[Line, ...]:
        if parts.proration is Proration.WORKING_DAYS:
            return self.labour.working_days(parts.segments, parts.period_working_days)
        wage = _needed(parts.monthly_wage, "monthly_wage")
        if parts.proration is Proration.PAID_DAYS_21_75:
            return (self.labour.paid_days(wage, parts.days_paid, work_date),)
        if parts.proration is Proration.UNPAID_DAYS_21_75:
            return (self.labour.unpaid_days(wage, parts.unpaid_days, work_date),)
        return (self.labour.whole_month(wage),)


def _total(lines: Sequence[Line]) -> Decimal:
    total = _quantize(ZERO, FEN)
    for line in lines:
        total = _add(total, line.amount)
    return total


def _needed(value: Decimal | None, name: str) -> Decimal:
    if value is None:
        raise StatutoryInputInvalid(f"give {name}: a part of the wage is computed from it", field=name)
    return value
