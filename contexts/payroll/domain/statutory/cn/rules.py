"""China's statutory formulas in words that a person can check and a test can evaluate, each with its law.

The computation itself stands beside each rule's use; tests evaluate these texts against every line that it makes.
"""

from collections.abc import Mapping
from types import MappingProxyType

from contexts.payroll.domain.statutory.trace import Leaf, Rule

_BY_ID: dict[str, Rule] = {}
RULES: Mapping[str, Rule] = MappingProxyType(_BY_ID)  # every rule of this module by its id

_IIT = "IIT Law 2018 arts. 3, 6; STA Announcement 2018 No.56, No.61"
_BONUS = "财税〔2018〕164号 art.1; MOF/STA 2023 No.30"
_DAYS = "人社部发〔2025〕2号"


def _leaf(text: str) -> Leaf:
    """`name=12.column` a row's column, `name<lines` a sum of lines, `name` or `name:path` an input."""
    if "=" in text:
        name, _, of = text.partition("=")
        return Leaf(name, "ROW", of)
    if "<" in text:
        name, _, of = text.partition("<")
        return Leaf(name, "LINE", of)
    name, _, of = text.partition(":")
    return Leaf(name, "INPUT", of or name)


def _rule(id: str, leaves: str, steps: str, source: str) -> Rule:
    pairs = [step.partition(" = ") for step in steps.split("; ")]
    named = tuple((name.strip(), text.strip()) for name, _, text in pairs)
    rule = Rule(id, tuple(_leaf(text) for text in leaves.split()), named, source)
    if _BY_ID.setdefault(id, rule) is not rule:
        raise ValueError(f"two rules are called {id}")
    return rule


_CLAMPED = "declared_base:enrolment.{0} floor=0.floor ceiling=0.ceiling"
_INSURED = _CLAMPED.format("social_insurance_base")
_FUNDED = _CLAMPED.format("housing_fund_base")
_TO_THE_FEN = "base = clamp(declared_base, floor, ceiling); amount = half_up(base * rate, 2)"
_TO_THE_YUAN = "base = clamp(declared_base, floor, ceiling); amount = half_up(base * rate, 0)"
_INSURANCE = "Social Insurance Law; the city's annual base notice"
_FUND = "住房公积金管理条例 arts. 16-18; the city's annual adjustment notice"

CONTRIBUTION_EMPLOYEE = _rule("cn.contribution.employee", f"{_INSURED} rate=1.employee", _TO_THE_FEN, _INSURANCE)
CONTRIBUTION_EMPLOYER = _rule("cn.contribution.employer", f"{_INSURED} rate=1.employer", _TO_THE_FEN, _INSURANCE)
INJURY = _rule(
    "cn.contribution.injury",
    f"{_INSURED} rate:enrolment.injury_rate",
    _TO_THE_FEN,
    f"人社部发〔2015〕71号; {_INSURANCE}",
)
HOUSING_FUND = _rule("cn.housing_fund", f"{_FUNDED} rate:enrolment.housing_fund_rate", _TO_THE_YUAN, _FUND)
HOUSING_FUND_SUPPLEMENTARY = _rule(
    "cn.housing_fund.supplementary",
    f"{_FUNDED} rate:enrolment.housing_fund_supplementary_rate",
    _TO_THE_YUAN,
    _FUND,
)
OWN_AVERAGE_BASE = _rule(
    "cn.base_from_own_average",
    "own_average_wage local_average_wage lowest_share=0.lowest_share highest_share=0.highest_share",
    "floor = local_average_wage * lowest_share; ceiling = local_average_wage * highest_share;"
    " amount = clamp(own_average_wage, floor, ceiling)",
    "劳办发〔1997〕116号; the city's annual base notice",
)

_TO_DATE = (
    "prior_income:year_to_date.income wage_income<TAXABLE_EARNINGS prior_contributions:year_to_date.contributions"
    " contributions<EMPLOYEE_CONTRIBUTIONS prior_special_additional:year_to_date.special_additional"
    " special_additional:tax_position.special_additional prior_tax:year_to_date.tax"
    " rate=0.rate quick_deduction=0.quick_deduction"
)
_WITHHELD = (
    "; taxable = max(0, prior_income + wage_income - prior_contributions - contributions"
    " - prior_special_additional - special_additional - basic_deduction)"
    "; tax_to_date = taxable * rate - quick_deduction"
    "; amount = max(0, half_up(tax_to_date - prior_tax, 2))"
)
IIT_MONTHS_EMPLOYED = _rule(
    "cn.iit.cumulative.months_employed",
    f"{_TO_DATE} deduction_month=1.amount tax_months:tax_position.months",
    f"basic_deduction = deduction_month * tax_months{_WITHHELD}",
    _IIT,
)
IIT_FIRST_JOB = _rule(
    "cn.iit.cumulative.first_job_from_january",
    f"{_TO_DATE} deduction_month=1.amount calendar_month:pay_date.month from_month=2.from_month",
    f"basic_deduction = deduction_month * (calendar_month - from_month + 1){_WITHHELD}",
    f"{_IIT}; STA Announcement 2020 No.13",
)
IIT_SIXTY_THOUSAND = _rule(
    "cn.iit.cumulative.sixty_thousand_from_january",
    f"{_TO_DATE} deduction_year=1.amount",
    f"basic_deduction = deduction_year{_WITHHELD}",
    f"{_IIT}; STA Announcement 2020 No.19",
)
IIT_NON_RESIDENT = _rule(
    "cn.iit.non_resident",
    "wage_income<TAXABLE_EARNINGS rate=0.rate quick_deduction=0.quick_deduction deduction_month=1.amount",
    "taxable = max(0, wage_income - deduction_month); amount = half_up(taxable * rate - quick_deduction, 2)",
    "STA Announcement 2018 No.61; MOF/STA 2019 No.35",
)
BONUS_SEPARATE = _rule(
    "cn.iit.annual_bonus_separate",
    "bonus<ANNUAL_BONUS rate=0.rate quick_deduction=0.quick_deduction",
    "amount = half_up(bonus * rate - quick_deduction, 2)",
    _BONUS,
)
BONUS_MULTI_MONTH = _rule(
    "cn.iit.non_resident_multi_month_bonus",
    "bonus<MULTI_MONTH_BONUS rate=0.rate quick_deduction=0.quick_deduction months=1.bonus_months",
    "amount = half_up(bonus * rate - quick_deduction * months, 2)",
    "MOF/STA 2019 No.35 art.3",
)
SEVERANCE_TAX = _rule(
    "cn.iit.severance",
    "severance<SEVERANCE exempt_limit rate=0.rate quick_deduction=0.quick_deduction",
    "taxable = max(0, severance - exempt_limit); amount = half_up(taxable * rate - quick_deduction, 2)",
    "财税〔2018〕164号 art.5(1)",
)
EARLY_RETIREMENT_TAX = _rule(
    "cn.iit.early_retirement",
    "subsidy years_before_statutory_age rate=0.rate quick_deduction=0.quick_deduction deduction=1.deduction",
    "taxable = max(0, subsidy - deduction * years_before_statutory_age);"
    " amount = half_up(taxable * rate - quick_deduction * years_before_statutory_age, 2)",
    "财税〔2018〕164号 art.5(2)",
)
ANNUAL_TAX = _rule(
    "cn.iit.comprehensive_year",
    "monthly_salary labour_remuneration monthly_contributions special_additional:special_additional_year"
    " rate=0.rate quick_deduction=0.quick_deduction months=1.months taken_of_labour=1.taken_of_labour"
    " deduction=1.deduction",
    "taxable = max(0, monthly_salary * months + labour_remuneration * taken_of_labour - deduction"
    " - monthly_contributions * months - special_additional);"
    " amount = half_up(taxable * rate - quick_deduction, 2)",
    "IIT Law 2018 arts. 3, 6, 11",
)


def _remuneration(kind: str, small: bool) -> Rule:
    if small:
        leaves, left = "income small_deduction=0.small_deduction", "max(0, income - small_deduction)"
    else:
        leaves, left = "income deduction_rate=0.deduction_rate", "(income - income * deduction_rate)"
    if kind == "MANUSCRIPT":
        leaves, left = f"{leaves} taken_of_manuscript=0.taken_of_manuscript", f"{left} * taken_of_manuscript"
    if kind == "LABOUR":
        leaves, tax = f"{leaves} rate=1.rate quick_deduction=1.quick_deduction", "taxable * rate - quick_deduction"
    else:
        leaves, tax = f"{leaves} rate=0.flat_rate", "taxable * rate"
    return _rule(
        f"cn.iit.remuneration.{kind.lower()}.{'up_to_4000' if small else 'over_4000'}",
        leaves,
        f"taxable = {left}; amount = half_up({tax}, 2)",
        "STA Announcement 2018 No.61 art.8",
    )


REMUNERATION = {
    (kind, small): _remuneration(kind, small) for kind in ("LABOUR", "MANUSCRIPT", "ROYALTY") for small in (True, False)
}
_NON_RESIDENT_LEAVES = "income taken_of_labour=1.taken_of_labour rate=0.rate quick_deduction=0.quick_deduction"
REMUNERATION_NON_RESIDENT = {
    False: _rule(
        "cn.iit.remuneration.non_resident",
        _NON_RESIDENT_LEAVES,
        "taxable = income * taken_of_labour; amount = half_up(taxable * rate - quick_deduction, 2)",
        "STA Announcement 2018 No.61",
    ),
    True: _rule(
        "cn.iit.remuneration.non_resident_manuscript",
        f"{_NON_RESIDENT_LEAVES} taken_of_manuscript=1.taken_of_manuscript",
        "taxable = income * taken_of_labour * taken_of_manuscript;"
        " amount = half_up(taxable * rate - quick_deduction, 2)",
        "STA Announcement 2018 No.61",
    ),
}

BASE_WHOLE = _rule("cn.wage.none", "monthly_wage", "amount = half_up(monthly_wage, 2)", "the contract")
BASE_PAID_DAYS = _rule(
    "cn.wage.paid_days_21_75",
    "monthly_wage days_paid paid_days_month=0.paid_days_month",
    "amount = half_up(monthly_wage * days_paid / paid_days_month, 2)",
    _DAYS,
)
BASE_UNPAID_DAYS = _rule(
    "cn.wage.unpaid_days_21_75",
    "monthly_wage unpaid_days paid_days_month=0.paid_days_month",
    "amount = half_up(monthly_wage - monthly_wage * unpaid_days / paid_days_month, 2)",
    _DAYS,
)
UNPAID_DEDUCTION = _rule(
    "cn.wage.unpaid_deduction",
    "monthly_wage unpaid_days paid_days_month=0.paid_days_month",
    "amount = half_up(monthly_wage * unpaid_days / paid_days_month, 2)",
    _DAYS,
)
# Each segment pays what brings the sum so far to its rounded value, so that the pieces add up to the rounded whole.
BASE_WORKING_DAYS = _rule(
    "cn.wage.working_days",
    "monthly_wage working_days period_working_days weighted_before<EARLIER_SEGMENTS",
    "weighted = weighted_before + monthly_wage * working_days;"
    " amount = half_up(weighted / period_working_days, 2) - half_up(weighted_before / period_working_days, 2)",
    "the contract: working days of the period",
)
MATERNITY_OFFSET = _rule(
    "cn.wage.maternity_allowance_offset",
    "base<BASE allowance_paid_by_fund",
    "amount = half_up(0 - min(base, allowance_paid_by_fund), 2)",
    "女职工劳动保护特别规定 art.8; Social Insurance Law art.56",
)
OVERTIME_BY_DAY = {
    day: _rule(
        f"cn.overtime.{day}",
        f"monthly_wage hours paid_days_month=0.paid_days_month hours_day=0.hours_day factor=1.{day}",
        "amount = half_up(monthly_wage * hours * factor / (paid_days_month * hours_day), 2)",
        f"Labour Law art.44; {_DAYS}",
    )
    for day in ("workday", "rest_day", "holiday")
}
OTHER_TAXABLE = _rule("cn.wage.other_taxable", "given", "amount = half_up(given, 2)", "the pay input")
UNUSED_LEAVE = _rule(
    "cn.unused_annual_leave",
    "average_monthly_wage days paid_days_month=0.paid_days_month extra_factor=1.extra_factor",
    "amount = half_up(average_monthly_wage * extra_factor * days / paid_days_month, 2)",
    "企业职工带薪年休假实施办法 arts.10-12",
)
