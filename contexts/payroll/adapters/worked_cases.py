"""Worked cases of the statutory rules: each is put to the pack functions that payslips call, and compared exactly.

Nothing is computed here: a shape (topic and kind) says which inputs go to which pack function and what its answer is
called in the case.
"""

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial

from chassis.worked_cases import Answer, CaseShapeUnknown, Inputs, Report, Shapes, WorkedCase
from chassis.worked_cases import check as checked
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

_NOTHING = Decimal(0)


def shapes(china: ChinaPack | None = None) -> Shapes:
    """What can be recomputed, by topic and kind, with this pack (None: the one in force)."""
    statutory = china if china is not None else pack("CN")
    return {key: partial(shape, statutory) for key, shape in SHAPES.items()}


def check(cases: Iterable[WorkedCase], topics: Sequence[str] | None = None, china: ChinaPack | None = None) -> Report:
    """Recompute the cases of these topics (None: all). Raises TopicUnknown."""
    return checked(cases, shapes(china), topics)


def overtime_multiplier(day_kind: str, work_date: date) -> Decimal:
    """What overtime on a day of that kind is paid at, as payslips do."""
    rate = pack("CN").labour.overtime(_NOTHING, _NOTHING, DayKind(day_kind), work_date).rate
    assert rate is not None, "overtime has a rate"
    return rate


# ---------------------------------------------------------------------------------------------------------- shapes


def _enrolment(inputs: Inputs, city: str) -> Enrolment:
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


def _position(inputs: Inputs) -> TaxPosition:
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


def _payslip(statutory: ChinaPack, inputs: Inputs, wage_income: Decimal, month: date) -> dict[str, object]:
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


def _payslip_wage_given(statutory: ChinaPack, inputs: Inputs) -> Answer:
    return _payslip(statutory, inputs, inputs.given("wage_income"), inputs.month("period"))


_OVERTIME_DAYS = {
    "weekday": DayKind.WORKDAY,
    "workday": DayKind.WORKDAY,
    "rest_day": DayKind.REST_DAY,
    "rest_day_without_substitute": DayKind.REST_DAY,
    "holiday": DayKind.HOLIDAY,
    "statutory_holiday": DayKind.HOLIDAY,
}


def _payslip_wage_computed(statutory: ChinaPack, inputs: Inputs) -> Answer:
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


def _minimum_wage_month(statutory: ChinaPack, inputs: Inputs) -> Answer:
    month = inputs.month("period")
    inputs.number("excluded_allowances")  # not part of the wage that is compared
    wage = inputs.given("monthly_wage")
    found = statutory.wage_above_minimum(_enrolment(inputs, inputs.word("city")), wage, month)
    return {
        "accepted": found.accepted,
        "net_of_contributions": found.net_of_contributions,
        "employee_contributions_total": found.contributions,
    }


def _minimum_wage_hour(statutory: ChinaPack, inputs: Inputs) -> Answer:
    city, zone, month = inputs.word("city"), inputs.text("minimum_wage_zone"), inputs.month("period")
    return {"accepted": statutory.hourly_wage_above_minimum(city, zone, inputs.given("hourly_rate"), month)}


def _severance_amount(statutory: ChinaPack, inputs: Inputs) -> Answer:
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


def _severance_tax(statutory: ChinaPack, inputs: Inputs) -> Answer:
    on = statutory.tables.edition
    exempt = statutory.income_tax.severance_exempt_limit(inputs.given("local_average_annual"), on)
    line = statutory.income_tax.severance(inputs.given("severance"), exempt, on)
    return {"exempt": exempt, "severance_iit": line.amount}


def _bonus_once_per_year(statutory: ChinaPack, inputs: Inputs) -> Answer:
    earlier, requested = inputs.maybe_month("earlier_separate_bonus_month"), inputs.month("requested_month")
    return {"accepted": statutory.income_tax.separate_bonus_allowed(earlier, requested)}


def _bonus_separate(statutory: ChinaPack, inputs: Inputs) -> Answer:
    line = statutory.income_tax.separate_bonus(inputs.given("annual_bonus"), statutory.tables.edition)
    return {"bonus_iit": line.amount}


def _rent_and_mortgage(statutory: ChinaPack, inputs: Inputs) -> Answer:
    rent, interest = inputs.number("housing_rent"), inputs.number("mortgage_interest")
    return {"accepted": statutory.income_tax.housing_deductions_accepted(rent, interest)}


def _leave_cash_out(statutory: ChinaPack, inputs: Inputs) -> Answer:
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


def _leave_band(statutory: ChinaPack, inputs: Inputs) -> Answer:
    hired, as_of = inputs.day("hire_date"), inputs.day("as_of")
    return {"entitled_days": statutory.labour.annual_leave_days(hired, as_of, inputs.number("prior_service_months"))}


def _unpaid_days(statutory: ChinaPack, inputs: Inputs) -> Answer:
    wage, days, on = inputs.given("monthly_wage"), inputs.number("unpaid_days"), statutory.tables.edition
    return {
        "deduction": statutory.labour.unpaid_deduction(wage, days, on).amount,
        "gross": statutory.labour.unpaid_days(wage, days, on).amount,
    }


def _day_and_hour_rate(statutory: ChinaPack, inputs: Inputs) -> Answer:
    found = statutory.labour.day_rate(inputs.given("monthly_wage"), statutory.tables.edition)
    return {
        "daily": found.daily,
        "hourly": found.hourly,
        "paid_days": found.paid_days_month,
        "working_days_per_month": found.working_days_month,
    }


def _overtime_request(statutory: ChinaPack, inputs: Inputs) -> Answer:
    hours, before = inputs.given("day_hours"), inputs.number("month_hours_before")
    found = statutory.labour.overtime_request(hours, before, statutory.tables.edition)
    return {"accepted": found.accepted, "rule": found.rule}


def _early_retirement(statutory: ChinaPack, inputs: Inputs) -> Answer:
    subsidy, years = inputs.given("one_off_subsidy"), inputs.given("years_before_statutory_age")
    return {"iit": statutory.income_tax.early_retirement(subsidy, years, statutory.tables.edition).amount}


def _obligations(statutory: ChinaPack, inputs: Inputs) -> Answer:
    enrolment = _enrolment(inputs, inputs.word("city"))
    wage, hired, month = inputs.given("monthly_wage"), inputs.day("hire_date"), inputs.month("period")
    found = statutory.hire_duties(enrolment, wage, hired, month)
    return {
        "si_registration_due": found.registration_due,
        "hf_remittance": found.housing_fund_remittance,
        "si_declaration": found.social_insurance_declaration,
        "union_funds": found.union_funds,
    }


def _withholding(statutory: ChinaPack, inputs: Inputs) -> Answer:
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


def _annual(statutory: ChinaPack, inputs: Inputs) -> Answer:
    line = statutory.income_tax.comprehensive_year(
        inputs.number("monthly_salary"),
        inputs.number("labour_remuneration"),
        inputs.number("monthly_contributions"),
        inputs.number("special_additional_annual"),
        inputs.whole("tax_year", 1, 9998),
    )
    return {"taxable_income": line.base, "annual_iit": line.amount}


def _remuneration(resident: bool, kind: Remuneration) -> Callable[[ChinaPack, Inputs], Answer]:
    def shape(statutory: ChinaPack, inputs: Inputs) -> Answer:
        if inputs.word("income_type").upper() != kind.value:
            raise CaseShapeUnknown("income_type is not the case's kind", field="income_type")
        income, on = inputs.given("income"), statutory.tables.edition
        tax = statutory.income_tax
        line = (tax.remuneration if resident else tax.non_resident_remuneration)(income, kind, on)
        return {"withholding": line.amount}

    return shape


def _base_from_own_average(statutory: ChinaPack, inputs: Inputs) -> Answer:
    insurance = statutory.social_insurance
    base = insurance.own_average_base(inputs.given("own_average_wage"), inputs.given("local_average_wage"))
    return {"base": base, "pension_employee": insurance.contribution(base, inputs.number("pension_employee_rate"))}


def _last_day(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


SHAPES: Mapping[tuple[str, str], Callable[[ChinaPack, Inputs], Answer]] = {
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
