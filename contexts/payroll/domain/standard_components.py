"""The components that a pay group of a country usually has, as a change set that a tenant may adopt and then alter."""

from dataclasses import dataclass
from datetime import date

from contexts.payroll.domain.catalog import FormulaScope, LineKind, PayComponent, Proration, TaxTreatment
from contexts.payroll.domain.errors import StandardComponentsUnknown
from kernel.money import Rounding


@dataclass(frozen=True, slots=True)
class _Standard:
    code: str
    name: str
    kind: LineKind
    formula: str = ""
    quantity: str = ""
    rate: str = ""
    base: str = ""
    statutory_line: str = ""
    by_segment: bool = False
    proration: Proration = Proration.NONE
    taxed: TaxTreatment = TaxTreatment.NOT_TAXED
    pays_for_time: bool = False


def _overtime(kind: str, name: str) -> _Standard:
    return _Standard(
        f"OVERTIME_{kind}",
        name,
        LineKind.EARNING,
        formula="quantity * rate",
        quantity=f"hours_OVERTIME_on_{kind}",
        rate=f"hourly_wage * overtime_factor_{kind.lower()}",
        by_segment=True,
        taxed=TaxTreatment.WAGE,
    )


def _allowance(code: str, name: str) -> _Standard:
    return _Standard(
        f"ALLOWANCE_{code}",
        name,
        LineKind.EARNING,
        formula=f"allowance_{code}",
        by_segment=True,
        proration=Proration.WORKING_DAYS,
        taxed=TaxTreatment.WAGE,
    )


def _statutory(line: str, name: str, kind: LineKind) -> _Standard:
    return _Standard(line, name, kind, statutory_line=line)


_CHINA = (
    _Standard(
        "BASE", "Base salary / 基本工资", LineKind.EARNING, formula="monthly_wage", by_segment=True,
        proration=Proration.WORKING_DAYS, taxed=TaxTreatment.WAGE, pays_for_time=True,
    ),
    _overtime("WORKDAY", "Overtime on workdays / 工作日加班费"),
    _overtime("REST_DAY", "Overtime on rest days / 休息日加班费"),
    _overtime("HOLIDAY", "Overtime on statutory holidays / 法定节假日加班费"),
    _Standard(
        "UNPAID_LEAVE", "Unpaid days / 无薪假扣款", LineKind.EARNING, formula="-(quantity * rate)",
        quantity="unpaid_days", rate="daily_wage", by_segment=True, taxed=TaxTreatment.WAGE,
    ),
    _allowance("MEAL", "Meal allowance / 餐补"),
    _allowance("TRANSPORT", "Transport allowance / 交通补贴"),
    _allowance("HOUSING", "Housing allowance / 住房补贴"),
    _Standard(
        "ADJUSTMENT", "Adjustment / 补发补扣", LineKind.EARNING, formula="input_amount", taxed=TaxTreatment.WAGE
    ),
    _Standard(
        "BONUS", "Annual bonus taxed alone / 全年一次性奖金", LineKind.EARNING, formula="input_amount",
        taxed=TaxTreatment.SEPARATE_BONUS,
    ),
    _Standard(
        "SEVERANCE", "Severance / 经济补偿金", LineKind.EARNING, formula="input_amount", taxed=TaxTreatment.SEVERANCE
    ),
    _statutory("PENSION_EMPLOYEE", "Pension, own share / 养老保险（个人）", LineKind.DEDUCTION),
    _statutory("MEDICAL_EMPLOYEE", "Medical, own share / 医疗保险（个人）", LineKind.DEDUCTION),
    _statutory("UNEMPLOYMENT_EMPLOYEE", "Unemployment, own share / 失业保险（个人）", LineKind.DEDUCTION),
    _statutory("HOUSING_FUND_EMPLOYEE", "Housing fund, own share / 住房公积金（个人）", LineKind.DEDUCTION),
    _statutory(
        "HOUSING_FUND_SUPPLEMENTARY_EMPLOYEE", "Supplementary housing fund, own share / 补充公积金（个人）",
        LineKind.DEDUCTION,
    ),
    _statutory("IIT", "Individual income tax / 个人所得税", LineKind.TAX),
    _statutory("BONUS_IIT", "Income tax on the bonus / 全年一次性奖金个税", LineKind.TAX),
    _statutory("SEVERANCE_IIT", "Income tax on severance / 经济补偿金个税", LineKind.TAX),
    _Standard(
        "OTHER_DEDUCTION", "Other deduction / 其他扣款", LineKind.DEDUCTION, formula="input_amount"
    ),
    _Standard(
        "EXPENSES", "Expenses / 费用报销", LineKind.REIMBURSEMENT, formula="input_amount"
    ),
    _statutory("PENSION_EMPLOYER", "Pension, employer / 养老保险（单位）", LineKind.EMPLOYER_CONTRIBUTION),
    _statutory("MEDICAL_EMPLOYER", "Medical, employer / 医疗保险（单位）", LineKind.EMPLOYER_CONTRIBUTION),
    _statutory("MATERNITY_EMPLOYER", "Maternity, employer / 生育保险（单位）", LineKind.EMPLOYER_CONTRIBUTION),
    _statutory("UNEMPLOYMENT_EMPLOYER", "Unemployment, employer / 失业保险（单位）", LineKind.EMPLOYER_CONTRIBUTION),
    _statutory("INJURY_EMPLOYER", "Work injury, employer / 工伤保险（单位）", LineKind.EMPLOYER_CONTRIBUTION),
    _statutory("HOUSING_FUND_EMPLOYER", "Housing fund, employer / 住房公积金（单位）", LineKind.EMPLOYER_CONTRIBUTION),
    _statutory(
        "HOUSING_FUND_SUPPLEMENTARY_EMPLOYER", "Supplementary housing fund, employer / 补充公积金（单位）",
        LineKind.EMPLOYER_CONTRIBUTION,
    ),
)  # fmt: skip

_BY_COUNTRY = {"CN": _CHINA}


def standard_components(country: str, effective_date: date) -> tuple[PayComponent, ...]:
    """The standard components of a country from a date on, in their order. Raises StandardComponentsUnknown."""
    standards = _BY_COUNTRY.get(country)
    if standards is None:
        raise StandardComponentsUnknown(
            f"there are standard components for {', '.join(_BY_COUNTRY)}; define your own for {country}",
            field="country",
        )
    return tuple(
        PayComponent(
            code=standard.code,
            name=standard.name,
            kind=standard.kind,
            formula=standard.formula,
            quantity_formula=standard.quantity,
            rate_formula=standard.rate,
            base_formula=standard.base,
            statutory_line=standard.statutory_line,
            scope=FormulaScope.SEGMENT if standard.by_segment else FormulaScope.PAYSLIP,
            proration=standard.proration,
            rounding=Rounding.HALF_UP,
            digits=2,
            tax_treatment=standard.taxed,
            pays_for_time=standard.pays_for_time,
            hide_zero=standard.code not in ("BASE", "IIT"),
            order=(place + 1) * 10,
            pay_groups=(),
            effective_date=effective_date,
        )
        for place, standard in enumerate(standards)
    )
