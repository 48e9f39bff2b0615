"""Worked cases of the statutory rules: each is put to the pack functions that payslips call, and compared exactly.

Nothing is computed here: a shape (topic and kind) says which inputs go to which pack function and what its answer is
called in the case.
"""

import json
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from contexts.payroll.domain.statutory import pack
from contexts.payroll.domain.statutory.cn.contributions import Enrolment
from contexts.payroll.domain.statutory.cn.income_tax import (
    NOTHING_YET,
    BasicDeduction,
    Remuneration,
    TaxPosition,
    YearToDate,
)
from contexts.payroll.domain.statutory.cn.labour import DayKind, Ground, Proration, WageSegment
from contexts.payroll.domain.statutory.cn.pack import ChinaPack, MonthPay, WageParts
from kernel.errors import DomainError, Kind

MAX_BYTES = 32 * 1024 * 1024
MAX_CASES = 100_000
_MAX_DEPTH = 16
_MAX_AMOUNT = Decimal(10) ** 13
_MAX_PLACES = 12
_ZERO = Decimal(0)

EnumT = TypeVar("EnumT", bound=Enum)
Answer = Mapping[str, object]


class CasesUnreadable(DomainError):
    """A file that is not a list of worked cases; the message says where it goes wrong."""

    kind, reason = Kind.INVALID, "WORKED_CASES_UNREADABLE"


class TopicUnknown(DomainError):
    """A topic that no pack can compute."""

    kind, reason = Kind.INVALID, "WORKED_CASE_TOPIC_UNKNOWN"


class CaseShapeUnknown(DomainError):
    """A case whose topic, kind or inputs are not what the runner knows."""

    kind, reason = Kind.INVALID, "WORKED_CASE_SHAPE_UNKNOWN"


@dataclass(frozen=True, slots=True)
class WorkedCase:
    """One case as it was published: numbers are Decimals."""

    id: str
    topic: str
    kind: str
    inputs: Mapping[str, Any]
    expected: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One expected value that was not met; `key` is "" where the whole case could not be computed."""

    case_id: str
    topic: str
    key: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a set of cases. Invariants: a case matches when none of its expected values differs."""

    totals: tuple[tuple[str, int, int], ...]  # topic, matched, cases
    differences: tuple[Difference, ...]

    @property
    def cases(self) -> int:
        """How many cases were looked at."""
        return sum(total for _, _, total in self.totals)

    @property
    def matched(self) -> int:
        """How many of them agree in every expected value."""
        return sum(matched for _, matched, _ in self.totals)


def read_cases(raw: bytes, room: int = MAX_CASES) -> tuple[WorkedCase, ...]:
    """The cases of one file, at most `room`. Raises CasesUnreadable."""
    if len(raw) > MAX_BYTES:
        raise CasesUnreadable(f"the file has more than {MAX_BYTES} bytes")
    try:
        found = json.loads(
            raw.decode("utf-8"),
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_no_repeats,
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise CasesUnreadable(f"not strict JSON: {error}") from None
    if not isinstance(found, list):
        raise CasesUnreadable("a file of worked cases is one JSON list of cases")
    if len(found) > room:
        raise CasesUnreadable(f"one call takes at most {MAX_CASES} cases")
    return tuple(_case(position, item) for position, item in enumerate(found, start=1))


def known_topics() -> tuple[str, ...]:
    """Every topic that can be recomputed."""
    return tuple(sorted({topic for topic, _ in SHAPES}))


def check(cases: Iterable[WorkedCase], topics: Sequence[str] | None = None, china: ChinaPack | None = None) -> Report:
    """Recompute the cases of these topics (None: all). Raises TopicUnknown.

    An unknown topic, kind or input, a repeated id and an input that the pack refuses are differences, never passed.
    """
    unknown = sorted(set(topics or ()) - set(known_topics()))
    if unknown:
        raise TopicUnknown(f"no topic is called {', '.join(unknown)}; there are {', '.join(known_topics())}")
    statutory = china if china is not None else pack("CN")
    totals: dict[str, list[int]] = {}
    differences: list[Difference] = []
    seen: set[str] = set()
    for case in cases:
        if topics and case.topic not in topics:
            continue
        found = _differences(case, statutory)
        if case.id in seen:
            found.append(Difference(case.id, case.topic, "", "one case of this id", "another one before it"))
        seen.add(case.id)
        counts = totals.setdefault(case.topic, [0, 0])
        counts[0] += not found
        counts[1] += 1
        differences += found
    return Report(tuple((topic, *map(int, totals[topic])) for topic in sorted(totals)), tuple(differences))  # type: ignore[misc]


# ---------------------------------------------------------------------------------------------------- reading a case


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not a number")


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key stands twice among {', '.join(key for key, _ in pairs)[:200]}")
    return found


def _case(position: int, item: object) -> WorkedCase:
    where = f"case {position}"
    if not isinstance(item, dict):
        raise CasesUnreadable(f"{where} is not an object")
    texts = []
    for name in ("id", "topic", "kind"):
        value = item.get(name)
        if not isinstance(value, str) or not value or len(value) > 200:
            raise CasesUnreadable(f"{where} needs {name} as a text of 1 to 200 characters")
        texts.append(value)
    for name in ("inputs", "expected"):
        if not isinstance(item.get(name), dict):
            raise CasesUnreadable(f"{where} needs {name} as an object")
    return WorkedCase(texts[0], texts[1], texts[2], item["inputs"], item["expected"])


class _Inputs:
    """The inputs of one case, read by name and type. Invariants: what is left unread at the end is an unknown shape."""

    def __init__(self, given: Mapping[str, Any], path: str = "") -> None:
        self._given = given
        self._unread = set(given)
        self._path = path

    def _take(self, name: str) -> Any:
        self._unread.discard(name)
        return self._given.get(name)

    def _wrong(self, name: str, wanted: str) -> CaseShapeUnknown:
        return CaseShapeUnknown(f"input {self._path}{name} is not {wanted}", field=f"{self._path}{name}")

    def maybe(self, name: str) -> Decimal | None:
        """A number, None where absent or null."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise self._wrong(name, "a number")
        if abs(value) > _MAX_AMOUNT or -int(value.as_tuple().exponent) > _MAX_PLACES:
            raise self._wrong(name, f"a number up to {_MAX_AMOUNT:f} with at most {_MAX_PLACES} places")
        return value

    def number(self, name: str) -> Decimal:
        """A number, 0 where absent or null."""
        value = self.maybe(name)
        return _ZERO if value is None else value

    def given(self, name: str) -> Decimal:
        """A number that must be there."""
        value = self.maybe(name)
        if value is None:
            raise self._wrong(name, "given")
        return value

    def whole(self, name: str, low: int, high: int) -> int:
        """A whole number that must be there, within bounds."""
        value = self.given(name)
        if value != value.to_integral_value() or not low <= value <= high:
            raise self._wrong(name, f"a whole number from {low} to {high}")
        return int(value)

    def text(self, name: str) -> str | None:
        """A text, None where absent or null."""
        value = self._take(name)
        if value is not None and (not isinstance(value, str) or len(value) > 200):
            raise self._wrong(name, "a text")
        return value

    def word(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if value is None:
            raise self._wrong(name, "given")
        return value

    def one_of(self, name: str, words: type[EnumT]) -> EnumT:
        """A member of a closed list of words that must be there."""
        value = self.word(name)
        try:
            return words(value)
        except ValueError:
            raise self._wrong(name, f"one of {', '.join(str(word.value) for word in words)}") from None

    def day(self, name: str) -> date:
        """A date that must be there."""
        try:
            return date.fromisoformat(self.word(name))
        except ValueError:
            raise self._wrong(name, "a date") from None

    def month(self, name: str) -> date:
        """The first day of a month that must be there."""
        found = self.maybe_month(name)
        if found is None:
            raise self._wrong(name, "given")
        return found

    def maybe_month(self, name: str) -> date | None:
        """The first day of a month, None where absent or null."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return date.fromisoformat(f"{text}-01")
        except ValueError:
            raise self._wrong(name, "a month as YYYY-MM") from None

    def part(self, name: str) -> "_Inputs | None":
        """An object, None where absent or null; its own keys must all be read too."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return _Inputs(value, f"{self._path}{name}.")

    def parts(self, name: str) -> tuple["_Inputs", ...]:
        """A list of objects, empty where absent or null."""
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(name, "a list of objects")
        return tuple(_Inputs(item, f"{self._path}{name}[{index}].") for index, item in enumerate(value))

    def done(self) -> None:
        """Refuse what nothing read: a rule may hang on it."""
        if self._unread:
            names = ", ".join(f"{self._path}{name}" for name in sorted(self._unread))
            raise CaseShapeUnknown(f"nothing reads the inputs {names}")


# -------------------------------------------------------------------------------------------------------- comparing


def _differences(case: WorkedCase, statutory: ChinaPack) -> list[Difference]:
    shape = SHAPES.get((case.topic, case.kind))
    if shape is None:
        return [Difference(case.id, case.topic, "", "a known topic and kind", f"{case.topic} {case.kind}")]
    try:
        inputs = _Inputs(case.inputs)
        answer = shape(statutory, inputs)
        inputs.done()
    except DomainError as refused:
        return [Difference(case.id, case.topic, "", "an answer", f"{refused.reason}: {refused.message}")]
    except ArithmeticError as error:
        return [Difference(case.id, case.topic, "", "an answer", f"{type(error).__name__}: numbers out of range")]
    found: list[Difference] = []
    compared = _compare(case, "", case.expected, answer, found)
    if not compared:
        found.append(Difference(case.id, case.topic, "", "an expected value", "none stated"))
    return found


def _compare(
    case: WorkedCase, path: str, expected: Mapping[str, Any], got: Mapping[str, Any], found: list[Difference]
) -> int:
    """Add what differs to `found`; how many values were compared."""
    compared = 0
    for name, wanted in expected.items():
        if wanted is None:
            continue
        key = f"{path}{name}"
        actual = got.get(name)
        if isinstance(wanted, Mapping) and isinstance(actual, Mapping) and key.count(".") < _MAX_DEPTH:
            compared += _compare(case, f"{key}.", wanted, actual, found)
            continue
        compared += 1
        if not _equal(wanted, actual):
            found.append(Difference(case.id, case.topic, key, _shown(wanted), _shown(actual)))
    return compared


def _equal(wanted: object, actual: object) -> bool:
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return wanted is actual
    if isinstance(actual, date):
        return wanted == actual.isoformat()
    return type(wanted) is type(actual) and wanted == actual


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)[:200]


# ---------------------------------------------------------------------------------------------------------- shapes


def _enrolment(inputs: _Inputs, city: str) -> Enrolment:
    return Enrolment(
        city=city,
        social_insurance_base=inputs.maybe("si_base_declared"),
        housing_fund_base=inputs.maybe("hf_base_declared"),
        housing_fund_rate=inputs.number("hf_rate"),
        injury_rate=inputs.number("injury_rate"),
        housing_fund_supplementary_rate=inputs.number("hf_supplementary_rate"),
        minimum_wage_zone=inputs.text("minimum_wage_zone"),
    )


class _Residency(Enum):
    RESIDENT = "resident"
    NON_RESIDENT = "non_resident"


def _position(inputs: _Inputs) -> TaxPosition:
    prior = NOTHING_YET
    given = inputs.part("prior")
    if given is not None:
        prior = YearToDate(
            given.number("income"),
            given.number("contributions"),
            given.number("special_additional"),
            given.whole("months", 0, 12),
            given.number("tax"),
        )
        given.done()
    return TaxPosition(
        resident=inputs.one_of("tax_residency", _Residency) is _Residency.RESIDENT,
        basic_deduction=inputs.one_of("basic_deduction_rule", BasicDeduction),
        special_additional=inputs.number("special_additional_deduction"),
        months=inputs.whole("tax_months", 1, 12),
        prior=prior,
    )


def _payslip(statutory: ChinaPack, inputs: _Inputs, wage_income: Decimal, month: date) -> dict[str, object]:
    enrolment = _enrolment(inputs, inputs.word("city"))
    pay = MonthPay(
        wage_income=wage_income,
        annual_bonus_separate=inputs.number("annual_bonus_separate"),
        multi_month_bonus=inputs.number("non_resident_multi_month_bonus"),
        severance_income=inputs.number("severance_income"),
        severance_exempt_limit=inputs.number("severance_exempt_limit"),
        exempt_income=inputs.number("exempt_income"),
    )
    found = statutory.assess_month(enrolment, _position(inputs), pay, month, _last_day(month))
    return {
        "gross": found.gross,
        "net": found.net,
        "iit": found.iit,
        "bonus_iit": found.bonus_iit,
        "severance_iit": found.severance_iit,
        "cumulative_basic_deduction": found.withholding.basic_deduction,
        "employee_contributions": found.contributions.by_scheme("EMPLOYEE"),
        "employer_contributions": found.contributions.by_scheme("EMPLOYER"),
        "employer_contributions_total": found.contributions.employer_total,
        "wage_income": wage_income,
    }


def _payslip_wage_given(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    return _payslip(statutory, inputs, inputs.given("wage_income"), inputs.month("period"))


_OVERTIME_DAYS = {
    "weekday": DayKind.WORKDAY,
    "workday": DayKind.WORKDAY,
    "rest_day": DayKind.REST_DAY,
    "rest_day_without_substitute": DayKind.REST_DAY,
    "holiday": DayKind.HOLIDAY,
    "statutory_holiday": DayKind.HOLIDAY,
}


def _payslip_wage_computed(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    month = inputs.month("period")
    hours: dict[DayKind, Decimal] = {}
    overtime = inputs.part("overtime_hours")
    if overtime is not None:
        for name, day in _OVERTIME_DAYS.items():
            worked = overtime.maybe(name)
            if worked is not None:
                if day in hours:
                    raise CaseShapeUnknown(f"two inputs give the hours of a {day.value}", field="overtime_hours")
                hours[day] = worked
        overtime.done()
    segments = []
    for segment in inputs.parts("segments"):
        segments.append(WageSegment(segment.given("monthly_wage"), segment.given("working_days")))
        segment.done()
    parts = WageParts(
        proration=inputs.one_of("proration_rule", Proration),
        monthly_wage=inputs.maybe("monthly_wage"),
        days_paid=inputs.number("days_paid"),
        unpaid_days=inputs.number("unpaid_days"),
        segments=tuple(segments),
        period_working_days=inputs.number("period_working_days"),
        overtime_hours=hours,
        other_taxable=inputs.number("other_taxable"),
        maternity_allowance_paid_by_fund=inputs.number("maternity_allowance_paid_by_fund"),
        unused_annual_leave_days=inputs.number("unused_annual_leave_days"),
        average_monthly_wage_12m=inputs.maybe("average_monthly_wage_12m"),
    )
    wage = statutory.wage_income(parts, _last_day(month))
    answer = _payslip(statutory, inputs, wage.total, month)
    return {**answer, "overtime_pay": wage.overtime_pay, "hourly_base": wage.hourly_base}


def _minimum_wage_month(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    month = inputs.month("period")
    inputs.number("excluded_allowances")  # not part of the wage that is compared
    wage = inputs.given("monthly_wage")
    found = statutory.wage_above_minimum(_enrolment(inputs, inputs.word("city")), wage, month)
    return {
        "accepted": found.accepted,
        "net_of_contributions": found.net_of_contributions,
        "employee_contributions_total": found.contributions,
    }


def _minimum_wage_hour(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    city, zone, month = inputs.word("city"), inputs.text("minimum_wage_zone"), inputs.month("period")
    return {"accepted": statutory.hourly_wage_above_minimum(city, zone, inputs.given("hourly_rate"), month)}


def _severance_amount(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    inputs.text("city")  # its average wage is among the inputs
    ground = _ground(inputs.word("ground"))
    local = inputs.given("local_average_monthly")
    on = statutory.tables.edition
    found = statutory.labour.severance(
        inputs.given("service_months"),
        inputs.given("average_monthly_wage_12m"),
        local,
        ground,
        inputs.number("last_month_wage"),
        on,
    )
    exempt = statutory.income_tax.severance_exempt_limit_from_month(local, on)
    tax = statutory.income_tax.severance(found.amount, exempt, on)
    return {
        "severance": found.amount,
        "months": found.months,
        "capped_monthly": found.monthly,
        "severance_iit": tax.amount,
    }


def _ground(text: str) -> Ground:
    article = "_".join(text.split("_")[:2])  # "ART_46_STATUTORY" names its article and then says it in words
    try:
        return Ground(article)
    except ValueError:
        raise CaseShapeUnknown(f"no severance rule for the ground {text}", field="ground") from None


def _severance_tax(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    on = statutory.tables.edition
    exempt = statutory.income_tax.severance_exempt_limit(inputs.given("local_average_annual"), on)
    line = statutory.income_tax.severance(inputs.given("severance"), exempt, on)
    return {"exempt": exempt, "severance_iit": line.amount}


def _bonus_once_per_year(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    earlier, requested = inputs.maybe_month("earlier_separate_bonus_month"), inputs.month("requested_month")
    return {"accepted": statutory.income_tax.separate_bonus_allowed(earlier, requested)}


def _bonus_separate(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    line = statutory.income_tax.separate_bonus(inputs.given("annual_bonus"), statutory.tables.edition)
    return {"bonus_iit": line.amount}


def _rent_and_mortgage(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    rent, interest = inputs.number("housing_rent"), inputs.number("mortgage_interest")
    return {"accepted": statutory.income_tax.housing_deductions_accepted(rent, interest)}


def _leave_cash_out(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    found = statutory.labour.leave_cash_out(
        inputs.day("hire_date"),
        inputs.day("exit_date"),
        inputs.number("prior_service_months"),
        inputs.given("average_monthly_wage_12m"),
        inputs.number("days_taken"),
    )
    return {
        "entitled_days_full_year": found.entitled_days,
        "prorated_days": found.prorated_days,
        "extra_200pct_pay": found.pay.amount,
    }


def _leave_band(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    hired, as_of = inputs.day("hire_date"), inputs.day("as_of")
    return {"entitled_days": statutory.labour.annual_leave_days(hired, as_of, inputs.number("prior_service_months"))}


def _unpaid_days(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    wage, days, on = inputs.given("monthly_wage"), inputs.number("unpaid_days"), statutory.tables.edition
    return {
        "deduction": statutory.labour.unpaid_deduction(wage, days, on).amount,
        "gross": statutory.labour.unpaid_days(wage, days, on).amount,
    }


def _day_and_hour_rate(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    found = statutory.labour.day_rate(inputs.given("monthly_wage"), statutory.tables.edition)
    return {
        "daily": found.daily,
        "hourly": found.hourly,
        "paid_days": found.paid_days_month,
        "working_days_per_month": found.working_days_month,
    }


def _overtime_request(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    hours, before = inputs.given("day_hours"), inputs.number("month_hours_before")
    found = statutory.labour.overtime_request(hours, before, statutory.tables.edition)
    return {"accepted": found.accepted, "rule": found.rule}


def _early_retirement(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    subsidy, years = inputs.given("one_off_subsidy"), inputs.given("years_before_statutory_age")
    return {"iit": statutory.income_tax.early_retirement(subsidy, years, statutory.tables.edition).amount}


def _obligations(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    enrolment = _enrolment(inputs, inputs.word("city"))
    wage, hired, month = inputs.given("monthly_wage"), inputs.day("hire_date"), inputs.month("period")
    found = statutory.hire_duties(enrolment, wage, hired, month)
    return {
        "si_registration_due": found.registration_due,
        "hf_remittance": found.housing_fund_remittance,
        "si_declaration": found.social_insurance_declaration,
        "union_funds": found.union_funds,
    }


def _withholding(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    pay_date = date(statutory.tables.edition.year, inputs.whole("month", 1, 12), 1)
    position = TaxPosition(
        basic_deduction=inputs.one_of("basic_deduction_rule", BasicDeduction),
        special_additional=inputs.number("cumulative_special_additional"),
        months=inputs.whole("months_employed", 1, 12),
        prior=YearToDate(tax=inputs.number("tax_withheld_before")),
    )
    found = statutory.income_tax.withhold(
        position, inputs.number("cumulative_income"), inputs.number("cumulative_contributions"), pay_date
    )
    return {
        "iit": found.line.amount,
        "cumulative_taxable": found.taxable,
        "cumulative_basic_deduction": found.basic_deduction,
    }


def _annual(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    line = statutory.income_tax.comprehensive_year(
        inputs.number("monthly_salary"),
        inputs.number("labour_remuneration"),
        inputs.number("monthly_contributions"),
        inputs.number("special_additional_annual"),
        inputs.whole("tax_year", 1, 9998),
    )
    return {"taxable_income": line.base, "annual_iit": line.amount}


def _remuneration(resident: bool, kind: Remuneration) -> Callable[[ChinaPack, _Inputs], Answer]:
    def shape(statutory: ChinaPack, inputs: _Inputs) -> Answer:
        if inputs.word("income_type").upper() != kind.value:
            raise CaseShapeUnknown("income_type is not the case's kind", field="income_type")
        income, on = inputs.given("income"), statutory.tables.edition
        tax = statutory.income_tax
        line = (tax.remuneration if resident else tax.non_resident_remuneration)(income, kind, on)
        return {"withholding": line.amount}

    return shape


def _base_from_own_average(statutory: ChinaPack, inputs: _Inputs) -> Answer:
    insurance = statutory.social_insurance
    base = insurance.own_average_base(inputs.given("own_average_wage"), inputs.given("local_average_wage"))
    return {"base": base, "pension_employee": insurance.contribution(base, inputs.number("pension_employee_rate"))}


def _last_day(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


SHAPES: Mapping[tuple[str, str], Callable[[ChinaPack, _Inputs], Answer]] = {
    ("payslip", "wage_given"): _payslip_wage_given,
    ("payslip", "wage_computed"): _payslip_wage_computed,
    ("minimum_wage", "monthly_net_of_contributions"): _minimum_wage_month,
    ("minimum_wage", "hourly"): _minimum_wage_hour,
    ("severance", "amount"): _severance_amount,
    ("severance", "iit"): _severance_tax,
    ("annual_bonus", "once_per_year"): _bonus_once_per_year,
    ("annual_bonus", "separate"): _bonus_separate,
    ("special_deductions", "rent_and_mortgage"): _rent_and_mortgage,
    ("annual_leave_cashout", "termination"): _leave_cash_out,
    ("annual_leave_entitlement", "band"): _leave_band,
    ("proration", "unpaid_days"): _unpaid_days,
    ("proration", "day_and_hour_rate"): _day_and_hour_rate,
    ("overtime_limits", "request"): _overtime_request,
    ("early_retirement", "subsidy"): _early_retirement,
    ("obligations", "registration_and_remittance"): _obligations,
    ("iit_withholding", "cumulative"): _withholding,
    ("iit_withholding", "basic_deduction"): _withholding,
    ("iit_annual", "comprehensive"): _annual,
    **{
        (topic, kind.value.lower()): _remuneration(resident, kind)
        for topic, resident in (("labour_remuneration", True), ("non_resident", False))
        for kind in Remuneration
    },
    ("si_base", "own_average"): _base_from_own_average,
}
