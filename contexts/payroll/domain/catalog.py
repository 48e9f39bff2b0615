"""What runs refer to by code: pay groups with their periods, and pay components; dated, versioned, never changed."""

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from contexts.payroll.domain import formula
from contexts.payroll.domain.errors import ComponentInvalid, PayGroupInvalid, PayPeriodNotFound
from kernel.money import Rounding, minor_digits
from kernel.period import Period

MAX_PERIODS = 400  # of one listing


class PayFrequency(Enum):
    """How often a pay group is paid."""

    MONTH = "MONTH"
    WEEK = "WEEK"


class LineKind(Enum):
    """What a line of a payslip is; the totals follow from it."""

    EARNING = "EARNING"
    DEDUCTION = "DEDUCTION"
    TAX = "TAX"
    EMPLOYER_CONTRIBUTION = "EMPLOYER_CONTRIBUTION"
    REIMBURSEMENT = "REIMBURSEMENT"
    INFORMATION = "INFORMATION"


class Proration(Enum):
    """How a component is shared out where facts change inside a period."""

    NONE = "NONE"
    WORKING_DAYS = "WORKING_DAYS"
    CALENDAR_DAYS = "CALENDAR_DAYS"
    UNPAID_DAYS_21_75 = "UNPAID_DAYS_21_75"
    PAID_DAYS_21_75 = "PAID_DAYS_21_75"


class FormulaScope(Enum):
    """Which values the names of a formula have."""

    PAYSLIP = "PAYSLIP"  # once, with the facts of the last employed day and the totals of the period
    SEGMENT = "SEGMENT"  # once for each segment, added up


class TaxTreatment(Enum):
    """What an earning is to the tax office."""

    WAGE = "WAGE"
    SEPARATE_BONUS = "SEPARATE_BONUS"
    SEVERANCE = "SEVERANCE"
    EXEMPT = "EXEMPT"
    NOT_TAXED = "NOT_TAXED"  # the only one for kinds other than EARNING


@dataclass(frozen=True, slots=True)
class PayDateRule:
    """When a period is paid: `day` (31 = the last) of the month `offset` months later; for weeks the ISO weekday."""

    offset: int
    day: int


@dataclass(frozen=True, slots=True)
class PayPeriod:
    """One pay period of a group, with the dates that decide about tax."""

    pay_group: str
    name: str
    span: Period
    pay_date: date
    tax_year: int
    tax_period: int
    time_periods: tuple[str, ...]
    time_calendar: str
    withholding_registration: str
    currency: str
    country: str


@dataclass(frozen=True, slots=True)
class PayGroup:
    """People who are paid together by one withholding agent.

    Invariants: frequency and currency never change for a code.
    """

    code: str
    name: str
    withholding_registration: str
    frequency: PayFrequency
    currency: str
    country: str
    time_calendar: str
    time_period_offset: int
    pay_date_rule: PayDateRule
    effective_date: date

    def check(self, before: "PayGroup | None") -> None:
        """Refuse a definition that contradicts itself or the group's past. Raises PayGroupInvalid."""
        if before is not None and (before.frequency, before.currency) != (self.frequency, self.currency):
            raise PayGroupInvalid(
                "the frequency and currency of a pay group never change; define another group",
                field="frequency" if before.frequency is not self.frequency else "currency",
                pay_group=self.code,
            )
        if self.frequency is PayFrequency.WEEK and self.pay_date_rule.day > 7:
            raise PayGroupInvalid(
                "a weekly group is paid on an ISO weekday from 1 to 7", field="pay_date_rule.day", pay_group=self.code
            )

    def period(self, name: str) -> PayPeriod:
        """The period of that name. Raises PayPeriodNotFound."""
        span = self._span(name)
        if span is None:
            example = "2026-11" if self.frequency is PayFrequency.MONTH else "2026-W48"
            raise PayPeriodNotFound(
                f"{self.code} has no period {name!r}; its periods are named like {example}",
                field="period",
                pay_group=self.code,
                period=name,
            )
        return self._period_of(span)

    def periods(self, first: date, last: date) -> tuple[PayPeriod, ...]:
        """The periods from the one that holds `first` to the one that holds `last`, at most 400."""
        found: list[PayPeriod] = []
        span = self._holding(first)
        while span.start <= last and len(found) < MAX_PERIODS:
            found.append(self._period_of(span))
            if span.end.year >= 9999:
                break
            span = self._holding(span.end)
        return tuple(found)

    def _holding(self, day: date) -> Period:
        if self.frequency is PayFrequency.MONTH:
            return Period.month(day.year, day.month)
        monday = day - timedelta(days=day.weekday())
        return Period(monday, monday + timedelta(days=7))

    def _span(self, name: str) -> Period | None:
        pattern = r"([0-9]{4})-([0-9]{2})" if self.frequency is PayFrequency.MONTH else r"([0-9]{4})-W([0-9]{2})"
        match = re.fullmatch(pattern, name)
        if match is None:
            return None
        year, number = int(match[1]), int(match[2])
        if not 1900 <= year <= 9990:
            return None
        try:
            if self.frequency is PayFrequency.MONTH:
                return Period.month(year, number)
            return self._holding(date.fromisocalendar(year, number, 1))
        except ValueError:
            return None

    def _name(self, span: Period) -> str:
        if self.frequency is PayFrequency.MONTH:
            return f"{span.start.year:04}-{span.start.month:02}"
        year, week, _ = span.start.isocalendar()
        return f"{year:04}-W{week:02}"

    def _moved(self, span: Period, periods: int) -> Period:
        for _ in range(abs(periods)):
            span = self._holding(span.end if periods > 0 else span.start - timedelta(days=1))
        return span

    def _period_of(self, span: Period) -> PayPeriod:
        paid_in = self._moved(span, self.pay_date_rule.offset)
        if self.frequency is PayFrequency.MONTH:
            day = min(self.pay_date_rule.day, monthrange(paid_in.start.year, paid_in.start.month)[1])
        else:
            day = self.pay_date_rule.day
        pay_date = paid_in.start + timedelta(days=day - 1)
        return PayPeriod(
            pay_group=self.code,
            name=self._name(span),
            span=span,
            pay_date=pay_date,
            tax_year=pay_date.year,
            tax_period=tax_period_of(pay_date, self.frequency),
            time_periods=(self._name(self._moved(span, self.time_period_offset)),),
            time_calendar=self.time_calendar,
            withholding_registration=self.withholding_registration,
            currency=self.currency,
            country=self.country,
        )


def tax_period_of(pay_date: date, frequency: PayFrequency) -> int:
    """The tax period in which a pay date falls: the month, or for weekly groups the seven days since 1 January."""
    return pay_date.month if frequency is PayFrequency.MONTH else (pay_date.timetuple().tm_yday - 1) // 7 + 1


@dataclass(frozen=True, slots=True)
class PayComponent:
    """A line that payslips may have, and how it is computed.

    Invariants: exactly one of `formula` and `statutory_line`; anything but NONE is prorated over segments; only
    earnings are taxed; `digits` is at most what the currency has.
    """

    code: str
    name: str
    kind: LineKind
    formula: str
    quantity_formula: str
    rate_formula: str
    base_formula: str
    statutory_line: str
    scope: FormulaScope
    proration: Proration
    rounding: Rounding
    digits: int
    tax_treatment: TaxTreatment
    pays_for_time: bool
    hide_zero: bool
    order: int
    pay_groups: tuple[str, ...]
    effective_date: date
    ended: bool = False

    @property
    def formulas(self) -> Mapping[str, str]:
        """The formulas that are given, by the name of the field."""
        given = {
            "quantity_formula": self.quantity_formula,
            "rate_formula": self.rate_formula,
            "base_formula": self.base_formula,
            "formula": self.formula,
        }
        return {part: text for part, text in given.items() if text}

    def check(self) -> None:
        """Refuse a definition that contradicts itself. Raises ComponentInvalid, FormulaInvalid."""
        if bool(self.formula) == bool(self.statutory_line):
            self._refuse("formula", "give a formula or a statutory line, and only one of them")
        if self.statutory_line and len(self.formulas) > 0:
            self._refuse("statutory_line", "a statutory line brings its own quantity, rate and base")
        if self.statutory_line and self.scope is not FormulaScope.PAYSLIP:
            self._refuse("scope", "a statutory line is computed once for the payslip")
        if self.proration is not Proration.NONE and self.scope is not FormulaScope.SEGMENT:
            self._refuse("proration", "only a formula of scope SEGMENT can be prorated")
        if self.kind is LineKind.EARNING:
            if self.tax_treatment is TaxTreatment.NOT_TAXED:
                self._refuse("tax_treatment", "say how the earning is taxed: WAGE, SEPARATE_BONUS, SEVERANCE or EXEMPT")
        elif self.tax_treatment is not TaxTreatment.NOT_TAXED:
            self._refuse("tax_treatment", "only an EARNING is taxed")
        if self.pays_for_time and self.scope is not FormulaScope.SEGMENT:
            self._refuse("pays_for_time", "a line that pays for days is computed by segment")
        for part, text in self.formulas.items():
            formula.parse(text, component=self.code, part=part)

    def _refuse(self, field: str, problem: str) -> None:
        raise ComponentInvalid(f"{self.code}: {problem}", field=field, component=self.code)

    def fits(self, currency: str) -> bool:
        """Whether its amounts need no more digits than the currency has."""
        return self.digits <= minor_digits(currency)


Definition = PayGroup | PayComponent


class EntryKind(Enum):
    """What a catalog entry defines."""

    PAY_GROUP = "PAY_GROUP"
    PAY_COMPONENT = "PAY_COMPONENT"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One dated definition, as a change set of one catalog version published it.

    Invariants: never changed and never removed; another version may only stand in front of it.
    """

    catalog_version: int
    definition: Definition

    @property
    def kind(self) -> EntryKind:
        """What it defines."""
        return EntryKind.PAY_GROUP if isinstance(self.definition, PayGroup) else EntryKind.PAY_COMPONENT


class Catalog:
    """Everything that one catalog version says.

    Invariants: what (version, date) says is the same for ever.
    """

    def __init__(self, version: int, entries: Iterable[CatalogEntry]) -> None:
        self.version = version
        self._dated: dict[tuple[EntryKind, str], list[CatalogEntry]] = {}
        known = (entry for entry in entries if entry.catalog_version <= version)
        for entry in sorted(known, key=lambda entry: (entry.definition.effective_date, entry.catalog_version)):
            self._dated.setdefault((entry.kind, entry.definition.code), []).append(entry)

    def _at(self, kind: EntryKind, code: str, day: date | None) -> Definition | None:
        found: Definition | None = None
        for entry in self._dated.get((kind, code), ()):
            if day is None or entry.definition.effective_date <= day:
                found = entry.definition
        return found

    def pay_group(self, code: str, day: date | None = None) -> PayGroup | None:
        """The group as it is on `day` (None: as last defined), None where there is none."""
        found = self._at(EntryKind.PAY_GROUP, code, day)
        return found if isinstance(found, PayGroup) else None

    def pay_groups(self, day: date | None = None) -> tuple[PayGroup, ...]:
        """All groups on `day`, by code."""
        codes = sorted(code for kind, code in self._dated if kind is EntryKind.PAY_GROUP)
        return tuple(group for group in (self.pay_group(code, day) for code in codes) if group is not None)

    def component(self, code: str, day: date | None = None) -> PayComponent | None:
        """The component as it is on `day`, None where there is none or it has ended."""
        found = self._at(EntryKind.PAY_COMPONENT, code, day)
        return found if isinstance(found, PayComponent) and not found.ended else None

    def components(self, day: date | None = None, pay_group: str = "") -> tuple[PayComponent, ...]:
        """The components on `day` in their order on the payslip, those of `pay_group` only where it is given."""
        codes = (code for kind, code in self._dated if kind is EntryKind.PAY_COMPONENT)
        found = (component for component in (self.component(code, day) for code in codes) if component is not None)
        wanted = (
            component
            for component in found
            if not pay_group or not component.pay_groups or pay_group in component.pay_groups
        )
        return tuple(sorted(wanted, key=lambda component: (component.order, component.code)))

    def key_dates(self) -> tuple[date, ...]:
        """Every date on which an entry begins, in order: between two of them nothing changes."""
        return tuple(sorted({entry.definition.effective_date for dated in self._dated.values() for entry in dated}))

    def with_entries(self, entries: Iterable[CatalogEntry]) -> "Catalog":
        """This catalog with a further change set, as the next version."""
        mine = [entry for dated in self._dated.values() for entry in dated]
        return Catalog(self.version + 1, [*mine, *entries])
