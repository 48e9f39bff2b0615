"""What clients send and receive about pay groups, components, inputs, runs and payslips."""

from typing import Annotated, Literal

from pydantic import Field

from application.edge.fields import (
    Amount,
    Body,
    CivilDate,
    Code,
    CountryCode,
    Currency,
    DecimalText,
    Flag,
    Id,
    Instant,
    MoneyView,
    Name,
    PeriodName,
    Query,
    Text,
    View,
    Whole,
)
from application.edge.pages import DatedQuery, Page, PageQuery

PAY = {"x-pii": "pay"}

PayFrequency = Literal["MONTH", "WEEK"]
LineKind = Literal["EARNING", "DEDUCTION", "TAX", "EMPLOYER_CONTRIBUTION", "REIMBURSEMENT", "INFORMATION"]
Proration = Literal["NONE", "WORKING_DAYS", "CALENDAR_DAYS", "UNPAID_DAYS_21_75", "PAID_DAYS_21_75"]
RoundingMode = Literal["HALF_UP", "HALF_DOWN", "HALF_EVEN", "UP", "DOWN", "CEILING", "FLOOR"]
TaxTreatment = Literal["WAGE", "SEPARATE_BONUS", "SEVERANCE", "EXEMPT"]
FormulaScope = Literal["PAYSLIP", "SEGMENT"]
RunKind = Literal["REGULAR", "OFF_CYCLE", "CORRECTION", "TERMINATION", "OPENING", "REVERSAL"]
RunStatus = Literal[
    "DRAFT", "CALCULATING", "CALCULATED", "APPROVED", "FINALIZED", "VOID", "PARTIALLY_PAID", "PAID", "REVERSED"
]
PaymentStatus = Literal["PENDING", "SETTLED", "RETURNED", "CANCELLED"]
VarianceReason = Literal[
    "REVERSAL",
    "NO_PREVIOUS_RUN",
    "JOINED",
    "LEFT",
    "BLOCKED",
    "COMPENSATION_CHANGED",
    "TIME",
    "PAY_INPUT",
    "PRORATION",
    "STATUTORY",
    "YEAR_TO_DATE",
    "COMPONENT_CHANGED",
    "OTHER",
]
PayInputStatus = Literal["OPEN", "TAKEN", "USED", "CANCELLED"]

ComponentCode = Annotated[
    str, Field(description="Code of the pay component.", max_length=40, pattern="^[A-Z][A-Z0-9_]*$", examples=["BASE"])
]
Formula = Annotated[
    str,
    Field(
        description="An expression of the formula language; empty for none.",
        max_length=1000,
        examples=["monthly_wage * planned_days / period_planned_days"],
    ),
]
Digest = Annotated[
    str,
    Field(
        description="SHA-256 in hexadecimal.",
        min_length=64,
        max_length=64,
        pattern="^[0-9a-f]{64}$",
        examples=["0" * 64],
    ),
]
Total = Annotated[str, Field(max_length=15, pattern=r"^[0-9]{1,12}(\.[0-9]{1,2})?$", examples=["60000.00"])]
StatutoryTotal = Annotated[str, Field(max_length=40, pattern="^[a-z][a-z_]*$", examples=["income"])]
Shown = Annotated[str | None, Field(max_length=40, examples=["20000"])]


# ---- catalog ----


class PayDateRule(Body):
    """When a period is paid."""

    offset: Annotated[Whole, Field(description="Periods after the paid one: 1 is the following.", ge=0, le=2)] = 1
    day: Annotated[Whole, Field(description="Day of the month (31 = its last), or ISO weekday.", ge=1, le=31)] = 5


class PayGroupBody(Body):
    """A pay group from a date on."""

    effective_date: Annotated[CivilDate, Field(description="From when it holds.")]
    name: Annotated[Name, Field(description="Its name.")]
    withholding_registration: Annotated[Code, Field(description="The one registration under which it withholds.")]
    frequency: Annotated[PayFrequency, Field(description="How often it is paid; it never changes.")]
    currency: Annotated[Currency, Field(description="ISO 4217; it never changes.")]
    country: Annotated[CountryCode, Field(description="Country of the statutory pack.")]
    time_calendar: Annotated[Code | None, Field(description="Attendance's time calendar whose periods it pays.")] = None
    time_period_offset: Annotated[
        Whole, Field(description="Which time period it pays: 0 the same, -1 the one before.", ge=-2, le=0)
    ] = 0
    pay_date_rule: Annotated[PayDateRule, Field(description="When a period is paid.")] = PayDateRule()


class PayGroupView(View):
    """A pay group as of a date."""

    code: Annotated[Code, Field(description="Its code.")]
    name: Annotated[Name, Field(description="Its name.")]
    withholding_registration: Annotated[Code, Field(description="The registration under which it withholds.")]
    frequency: Annotated[PayFrequency | None, Field(description="How often it is paid.")]
    currency: Annotated[Currency, Field(description="ISO 4217.")]
    country: Annotated[str | None, Field(description="Country of the statutory pack.", max_length=2, examples=["CN"])]
    time_calendar: Annotated[
        str | None, Field(description="Attendance's time calendar.", max_length=40, examples=["CN-MONTH"])
    ]
    time_period_offset: Annotated[int, Field(description="Which time period it pays.", ge=-2, le=0)]
    pay_date_rule: Annotated[PayDateRule, Field(description="When a period is paid.")]
    effective_date: Annotated[CivilDate | None, Field(description="From when this version holds.")]
    catalog_version: Annotated[int, Field(description="Version of the catalog that holds it.", ge=0)]


class PayPeriodsQuery(Query):
    """Which periods."""

    from_date: Annotated[CivilDate, Field(description="The first period is the one that holds this day.")]
    to_date: Annotated[CivilDate, Field(description="The last period is the one that holds this day.")]


class PayPeriodView(View):
    """A pay period."""

    name: Annotated[PeriodName, Field(description="Its name.")]
    start_date: Annotated[CivilDate | None, Field(description="First day.")]
    end_date: Annotated[CivilDate | None, Field(description="The day after the last one.")]
    pay_date: Annotated[CivilDate | None, Field(description="When it is paid.")]
    tax_year: Annotated[int, Field(description="Tax year of the pay date.", ge=0, le=9999)]
    tax_period: Annotated[int, Field(description="Tax period of the pay date.", ge=0, le=366)]
    time_periods: Annotated[list[PeriodName], Field(description="Time periods that it pays.", max_length=10)]


class PayPeriodsView(View):
    """The asked periods in order."""

    data: Annotated[list[PayPeriodView], Field(description="The periods.", max_length=400)]


class PayComponentBody(Body):
    """A pay component from a date on: a formula, or a line of the statutory pack."""

    effective_date: Annotated[CivilDate, Field(description="From when it holds.")]
    name: Annotated[Name, Field(description="As it stands on payslips.")]
    kind: Annotated[LineKind, Field(description="What the line is.")]
    formula: Annotated[Formula, Field(description="The amount.")] = ""
    quantity_formula: Annotated[Formula, Field(description="The quantity shown.")] = ""
    rate_formula: Annotated[Formula, Field(description="The rate shown.")] = ""
    base_formula: Annotated[Formula, Field(description="The base shown.")] = ""
    statutory_line: Annotated[
        str, Field(description="A line of the country's pack instead of a formula.", max_length=60, examples=["IIT"])
    ] = ""
    scope: Annotated[FormulaScope, Field(description="Once per payslip, or per piece of constant facts.")] = "PAYSLIP"
    proration: Annotated[Proration, Field(description="How a part of the period is paid.")] = "NONE"
    rounding: Annotated[RoundingMode, Field(description="How the amount is rounded, once.")] = "HALF_UP"
    digits: Annotated[Whole, Field(description="Digits after the point.", ge=0, le=6)] = 2
    tax_treatment: Annotated[TaxTreatment, Field(description="How an earning is taxed.")] = "WAGE"
    pays_for_time: Annotated[Flag, Field(description="Whether it pays days of an assignment.")] = False
    hide_zero: Annotated[Flag, Field(description="Whether a zero line is left out.")] = True
    order: Annotated[Whole, Field(description="Place on the payslip.", ge=0, le=100000)] = 0
    pay_groups: Annotated[
        tuple[Code, ...], Field(description="Only for these pay groups; empty for all.", max_length=100)
    ] = ()
    ended: Annotated[Flag, Field(description="True ends the component on the date.")] = False


class PayComponentView(View):
    """A pay component as of a date."""

    code: Annotated[ComponentCode, Field(description="Its code.")]
    name: Annotated[Name, Field(description="As it stands on payslips.")]
    kind: Annotated[LineKind | None, Field(description="What the line is.")]
    formula: Annotated[Formula, Field(description="The amount.")]
    quantity_formula: Annotated[Formula, Field(description="The quantity shown.")]
    rate_formula: Annotated[Formula, Field(description="The rate shown.")]
    base_formula: Annotated[Formula, Field(description="The base shown.")]
    statutory_line: Annotated[
        str, Field(description="The line of the country's pack.", max_length=60, examples=["IIT"])
    ]
    scope: Annotated[FormulaScope | None, Field(description="Once per payslip, or per piece.")]
    proration: Annotated[Proration | None, Field(description="How a part of the period is paid.")]
    rounding: Annotated[RoundingMode | None, Field(description="How the amount is rounded.")]
    digits: Annotated[int, Field(description="Digits after the point.", ge=0, le=6)]
    tax_treatment: Annotated[TaxTreatment | None, Field(description="How an earning is taxed.")]
    pays_for_time: Annotated[bool, Field(description="Whether it pays days of an assignment.")]
    hide_zero: Annotated[bool, Field(description="Whether a zero line is left out.")]
    order: Annotated[int, Field(description="Place on the payslip.", ge=0)]
    pay_groups: Annotated[list[Code], Field(description="Only for these pay groups.", max_length=100)]
    effective_date: Annotated[CivilDate | None, Field(description="From when this version holds.")]
    ended: Annotated[bool, Field(description="Whether it ends on the date.")]


class StandardComponentsBody(Body):
    """Adopt the standard components of a country."""

    country: Annotated[CountryCode, Field(description="Whose standard set.")]
    effective_date: Annotated[CivilDate, Field(description="From when they hold.")]


class StandardComponentsView(View):
    """What was adopted."""

    data: Annotated[list[PayComponentView], Field(description="The components that were added.", max_length=200)]
    catalog_version: Annotated[int, Field(description="Version of the catalog that holds them.", ge=0)]


# ---- inputs ----


class PayInputBody(Body):
    """One amount for one employee: paid by exactly one run, or by every regular run from one period to another."""

    employee_id: Annotated[Id, Field(description="Who gets it.")]
    pay_group: Annotated[Code, Field(description="The pay group that pays it.")]
    period: Annotated[PeriodName, Field(description="The pay period.")]
    component: ComponentCode
    amount: Annotated[Amount, Field(description="The amount.", json_schema_extra=PAY)]
    quantity: Annotated[DecimalText | None, Field(description="How many, for the payslip.")] = None
    run_kind: Annotated[RunKind, Field(description="The kind of run that pays it.")] = "REGULAR"
    reason: Annotated[Text, Field(description="Why, for the audit trail.")] = ""
    recurring: Annotated[Flag, Field(description="Pay it in every regular run from `period` on.")] = False
    last_period: Annotated[
        PeriodName | None, Field(description="The last period that pays it (recurring); null until it is ended.")
    ] = None


class EndPayInputBody(Body):
    """When a recurring input is paid for the last time."""

    last_period: Annotated[PeriodName, Field(description="The last period that pays it.")]


class PayInputView(View):
    """A pay input and where it stands."""

    id: Annotated[Id, Field(description="The input.")]
    employee_id: Annotated[Id, Field(description="Who gets it.")]
    pay_group: Annotated[Code, Field(description="The pay group.")]
    period: Annotated[PeriodName, Field(description="The pay period.")]
    component: ComponentCode
    amount: Annotated[MoneyView | None, Field(description="The amount.", json_schema_extra=PAY)]
    quantity: Annotated[Shown, Field(description="How many.")]
    status: Annotated[PayInputStatus | None, Field(description="Where it stands.")]
    run_id: Annotated[Id | None, Field(description="The run that took it.")]
    reason: Annotated[str, Field(description="Why.", max_length=500, examples=["As agreed"])]
    recurring: Annotated[bool, Field(description="Whether every regular run of its periods pays it.")]
    last_period: Annotated[PeriodName | None, Field(description="The last period that pays it (recurring).")]


class PayInputsQuery(PageQuery):
    """Which inputs."""

    employee_id: Annotated[Id | None, Field(description="Only of this employee.")] = None
    pay_group: Annotated[Code | None, Field(description="Only of this pay group.")] = None
    period: Annotated[PeriodName | None, Field(description="Only of this period.")] = None


# ---- runs ----


class RunBody(Body):
    """A pay event of a pay group for a period."""

    pay_group: Annotated[Code, Field(description="Who is paid.", examples=["CN-MONTHLY"])]
    period: Annotated[PeriodName, Field(description="What is paid.")]
    kind: Annotated[RunKind, Field(description="What kind of pay event.")] = "REGULAR"
    pay_date: Annotated[CivilDate | None, Field(description="When; by the pay group's rule where it is null.")] = None
    input_cutoff: Annotated[
        Instant | None, Field(description="Read facts as known at this instant; at the calculation where it is null.")
    ] = None
    employees: Annotated[
        list[Id] | None,
        Field(description="Only these (off-cycle, termination); null for the pay group.", max_length=1000),
    ] = None
    reason: Annotated[Text | None, Field(description="Why, for the audit trail.")] = None
    include_regular: Annotated[
        Flag,
        Field(description="Off-cycle, termination: pay the regular components too, not the inputs entered alone."),
    ] = False


class OpeningBalanceBody(Body):
    """What another payroll paid and withheld of one employee since the tax year began."""

    employee_id: Annotated[Id, Field(description="The employee.")]
    gross: Annotated[Total, Field(description="Gross pay so far.", json_schema_extra=PAY)]
    deductions: Annotated[Total, Field(description="Deductions and taxes so far.", json_schema_extra=PAY)]
    net: Annotated[Total, Field(description="Net pay so far.", json_schema_extra=PAY)]
    statutory: Annotated[
        dict[StatutoryTotal, Total],
        Field(
            description="What the country's tax goes on from. CN: `income`, `contributions`, `special_additional`,"
            " `tax`, `months`; `separate_bonus` and `bonus_tax` where a bonus was taxed alone.",
            max_length=30,
            json_schema_extra=PAY,
            examples=[
                {"income": "60000", "contributions": "9000", "special_additional": "4000", "tax": "1180", "months": "2"}
            ],
        ),
    ]


class OpeningBalancesBody(Body):
    """Opening balances of people whose year began with another payroll."""

    pay_group: Annotated[Code, Field(description="The pay group that goes on with them.", examples=["CN-MONTHLY"])]
    period: Annotated[PeriodName, Field(description="The last period that the other payroll paid.")]
    pay_date: Annotated[
        CivilDate | None, Field(description="When it was paid; by the pay group's rule where it is null.")
    ] = None
    source: Annotated[
        Text, Field(description="Where the numbers come from.", min_length=1, examples=["Statement of Old Co"])
    ]
    source_date: Annotated[CivilDate, Field(description="The date of that source.")]
    balances: Annotated[list[OpeningBalanceBody], Field(description="One per employee.", min_length=1, max_length=500)]


class RunsQuery(PageQuery):
    """Which runs."""

    pay_group: Annotated[Code | None, Field(description="Only of this pay group.")] = None
    period: Annotated[PeriodName | None, Field(description="Only of this period.")] = None
    status: Annotated[RunStatus | None, Field(description="Only in this status.")] = None


class RunProgress(View):
    """How far a calculation is."""

    done: Annotated[int, Field(description="Payslips.", ge=0)]
    blocked: Annotated[int, Field(description="Employees who cannot be calculated yet.", ge=0)]
    stale: Annotated[int, Field(description="Payslips whose inputs changed since.", ge=0)]
    total: Annotated[int, Field(description="Employees seen so far.", ge=0)]
    deferred: Annotated[int, Field(description="Blocked employees left to a later run by name.", ge=0)]


class RunTotals(View):
    """Sums over the payslips."""

    gross: Annotated[MoneyView | None, Field(description="Gross pay.", json_schema_extra=PAY)]
    net: Annotated[MoneyView | None, Field(description="Net pay.", json_schema_extra=PAY)]
    employer_cost: Annotated[MoneyView | None, Field(description="Gross and employer's part.", json_schema_extra=PAY)]


class RunPayments(View):
    """How much of a final run is paid out."""

    due: Annotated[
        int, Field(description="Payments, one per payslip until they are arranged; 0 before it is final.", ge=0)
    ]
    settled: Annotated[int, Field(description="Those that are paid out.", ge=0)]


class RunView(View):
    """A payroll run."""

    id: Annotated[Id, Field(description="The run.")]
    pay_group: Annotated[Code, Field(description="Who is paid.")]
    period: Annotated[PeriodName, Field(description="What is paid.")]
    start_date: Annotated[CivilDate | None, Field(description="First day of the period.")]
    end_date: Annotated[CivilDate | None, Field(description="The day after its last one.")]
    pay_date: Annotated[CivilDate | None, Field(description="When it is paid.")]
    kind: Annotated[RunKind | None, Field(description="What kind of pay event.")]
    sequence: Annotated[int, Field(description="0 for REGULAR, else rising.", ge=0)]
    status: Annotated[RunStatus | None, Field(description="Where it stands.")]
    input_cutoff: Annotated[Instant | None, Field(description="Facts are read as known at this instant.")]
    calculation_hash: Annotated[Digest | None, Field(description="What approval binds; null before CALCULATED.")]
    stale_hash: Annotated[Digest | None, Field(description="Over the stale payslips, to leave them to retro.")]
    progress: Annotated[RunProgress, Field(description="How far it is.")]
    totals: Annotated[RunTotals, Field(description="Sums over the payslips.")]
    currency: Annotated[Currency, Field(description="ISO 4217.")]
    prepared_by: Annotated[str, Field(description="Account that prepared it.", max_length=80, examples=["019ab3c4"])]
    approved_by: Annotated[
        str | None, Field(description="Account that approved it.", max_length=80, examples=["019ab3c5"])
    ]
    reason: Annotated[str | None, Field(description="Why.", max_length=500, examples=["As agreed"])]
    include_regular: Annotated[bool, Field(description="Whether it pays the regular components too.")]
    payments: Annotated[RunPayments, Field(description="How much of it is paid out.")]
    reverses_run_id: Annotated[Id | None, Field(description="The final run that this one takes back (REVERSAL).")]
    reversed_by_run_id: Annotated[Id | None, Field(description="The final run that took this one back (REVERSED).")]
    created_time: Annotated[Instant | None, Field(description="When it was created.")]


class ApproveBody(Body):
    """What the approver saw."""

    calculation_hash: Annotated[Digest, Field(description="`calculation_hash` of the run.")]
    accept_changes_as_retro: Annotated[
        Digest | None, Field(description="`stale_hash` of the run, to leave exactly those changes to retro.")
    ] = None


class VoidBody(Body):
    """Why a run is given up."""

    reason: Annotated[Text, Field(description="Why, for the audit trail.", min_length=1, examples=["Wrong pay date"])]


class ReverseBody(Body):
    """Why a final run is taken back."""

    reason: Annotated[
        Text, Field(description="Why, for the audit trail.", min_length=1, examples=["Paid with the wrong table"])
    ]
    recover_settled: Annotated[
        Flag,
        Field(description="True to reverse a run of which money was paid out, which is got back in another way."),
    ] = False


class DeferBody(Body):
    """Blocked employees who are left to a later run, by name."""

    employees: Annotated[list[Id], Field(description="The employees.", min_length=1, max_length=500)]


class BlockerView(View):
    """Why an employee has no payslip."""

    employee_id: Annotated[Id, Field(description="The employee.")]
    reason: Annotated[str, Field(description="Stable reason.", max_length=60, examples=["TIMESHEET_NOT_LOCKED"])]
    message: Annotated[str, Field(description="What to do.", max_length=1000, examples=["lock the timesheet"])]
    subject: Annotated[str | None, Field(description="What it is about.", max_length=100, examples=["019ab3c4"])]
    deferred: Annotated[bool, Field(description="Whether it is left to a later run.")]


class PaymentsNamed(Body):
    """Payments of a run, by employee or one by one."""

    employees: Annotated[
        list[Id], Field(description="All payments of these employees.", default_factory=list, max_length=500)
    ]
    payments: Annotated[
        list[Id], Field(description="Single payments that were arranged.", default_factory=list, max_length=500)
    ]


class SettleBody(PaymentsNamed):
    """What was paid out; at least one employee or payment."""


class ReturnBody(PaymentsNamed):
    """What was not paid out, or given back; at least one employee or payment."""

    reason: Annotated[Text, Field(description="What the bank said.", min_length=1, examples=["Account closed"])]


class PaymentView(View):
    """The net pay of one payslip on its way, or the part of it that one bank account gets."""

    id: Annotated[Id, Field(description="The payment.")]
    payslip_id: Annotated[Id, Field(description="The payslip.")]
    employee_id: Annotated[Id, Field(description="Who is paid.")]
    amount: Annotated[MoneyView | None, Field(description="What is paid.", json_schema_extra=PAY)]
    split: Annotated[int, Field(description="Which of the payslip's payments, from 0.", ge=0, le=100)]
    account: Annotated[
        int | None,
        Field(
            description="Place of the account among the employee's bank accounts, from 1; null where it was not"
            " arranged, or the employee has none.",
            ge=1,
            le=20,
        ),
    ]
    accounts_known_at: Annotated[
        Instant | None, Field(description="The accounts are those known at this instant; null before it is arranged.")
    ]
    status: Annotated[PaymentStatus | None, Field(description="Where it stands.")]
    reason: Annotated[
        str | None, Field(description="Why it was returned.", max_length=500, examples=["Account closed"])
    ]


class LineVarianceView(View):
    """One component that pays another amount than in the run before."""

    code: ComponentCode
    kind: Annotated[LineKind | None, Field(description="What it is.")]
    previous: Annotated[
        MoneyView | None, Field(description="In the run before, 0 where it had none.", json_schema_extra=PAY)
    ]
    current: Annotated[MoneyView | None, Field(description="In this run, 0 where it has none.", json_schema_extra=PAY)]
    delta: Annotated[MoneyView | None, Field(description="Current less previous.", json_schema_extra=PAY)]
    reasons: Annotated[
        list[VarianceReason], Field(description="Why, the most telling first; never empty.", max_length=13)
    ]


class EmployeeVarianceView(View):
    """One employee whose payslip differs from that of the run before."""

    employee_id: Annotated[Id, Field(description="The employee.")]
    previous_net: Annotated[
        MoneyView | None, Field(description="Net pay in the run before, 0 without payslip.", json_schema_extra=PAY)
    ]
    current_net: Annotated[
        MoneyView | None, Field(description="Net pay in this run, 0 without payslip.", json_schema_extra=PAY)
    ]
    lines: Annotated[list[LineVarianceView], Field(description="The components that differ.", max_length=600)]


class VariancePage(Page[EmployeeVarianceView]):
    """A page of employees whose payslips differ; it may hold fewer than asked for and still be followed by another."""

    previous_run_id: Annotated[Id | None, Field(description="What it is compared with; null where nothing is before.")]


class TableQuery(Query):
    """How a table is written."""

    bom: Annotated[
        Literal["true", "false"],
        Field(description="Begin with a byte order mark, by which some spreadsheets know UTF-8."),
    ] = "false"


class StaleView(View):
    """A payslip whose inputs changed."""

    employee_id: Annotated[Id, Field(description="The employee.")]
    reasons: Annotated[
        list[str], Field(description="What changed.", max_length=50, examples=[["COMPENSATION_CHANGED"]])
    ]
    left_to_retro: Annotated[bool, Field(description="Whether it was left to retro.")]


class ComponentTotalView(View):
    """One component's sum over a run."""

    code: ComponentCode
    kind: Annotated[LineKind | None, Field(description="What it is.")]
    amount: Annotated[MoneyView | None, Field(description="The sum.", json_schema_extra=PAY)]
    line_count: Annotated[int, Field(description="How many payslips have it.", ge=0)]


class ComponentTotalsView(View):
    """Every component's sum over a run."""

    data: Annotated[list[ComponentTotalView], Field(description="In the order of the payslip.", max_length=1000)]


# ---- payslips ----


class PayslipSummaryView(View):
    """A payslip without its lines."""

    id: Annotated[Id, Field(description="The payslip.")]
    run_id: Annotated[Id, Field(description="Its run.")]
    employee_id: Annotated[Id, Field(description="Whose it is.")]
    period: Annotated[PeriodName, Field(description="What it pays.")]
    pay_date: Annotated[CivilDate | None, Field(description="When it is paid.")]
    currency: Annotated[str | None, Field(description="ISO 4217.", max_length=3, examples=["CNY"])]
    gross: Annotated[MoneyView | None, Field(description="Gross pay.", json_schema_extra=PAY)]
    deductions: Annotated[MoneyView | None, Field(description="Deductions and taxes.", json_schema_extra=PAY)]
    net: Annotated[MoneyView | None, Field(description="Net pay.", json_schema_extra=PAY)]
    employer_cost: Annotated[MoneyView | None, Field(description="Gross and employer's part.", json_schema_extra=PAY)]
    content_hash: Annotated[
        str, Field(description="SHA-256 of versions, inputs and lines.", max_length=64, examples=["0" * 64])
    ]
    stale: Annotated[bool, Field(description="Whether its inputs changed since.")]
    run_status: Annotated[RunStatus | None, Field(description="Where its run stands.")]


class LineView(View):
    """One line of a payslip."""

    code: ComponentCode
    name: Annotated[str, Field(description="As it stands on the payslip.", max_length=200, examples=["Base pay"])]
    kind: Annotated[LineKind | None, Field(description="What it is.")]
    quantity: Annotated[Shown, Field(description="How many.")]
    rate: Annotated[Shown, Field(description="At what rate.")]
    base: Annotated[Shown, Field(description="On what base.")]
    amount: Annotated[MoneyView | None, Field(description="The amount.", json_schema_extra=PAY)]
    rounding: Annotated[RoundingMode | None, Field(description="How it was rounded.")]
    trace_id: Annotated[str, Field(description="Where it is explained.", max_length=200, examples=["019ab3c4"])]


class VersionsView(View):
    """What a payslip was calculated with."""

    catalog: Annotated[int, Field(description="Version of the tenant's payroll catalog.", ge=0)]
    statutory: Annotated[
        str | None, Field(description="Version of the statutory pack.", max_length=60, examples=["CN-2026.1"])
    ]
    engine: Annotated[str, Field(description="Version of the engine.", max_length=40, examples=["1"])]


class YearToDateView(View):
    """Totals of the tax year up to and with this payslip, in major units."""

    tax_year: Annotated[int, Field(description="Tax year.", ge=0, le=9999)]
    totals: Annotated[
        dict[str, str],
        Field(description="By name.", max_length=100, json_schema_extra=PAY, examples=[{"gross": "20000.00"}]),
    ]
    predecessor_payslip_id: Annotated[Id | None, Field(description="The payslip before in the year.")]


class PayslipView(PayslipSummaryView):
    """A payslip with its lines."""

    lines: Annotated[list[LineView], Field(description="In the order of the payslip.", max_length=300)]
    year_to_date: Annotated[YearToDateView, Field(description="The tax year so far.")]
    versions: Annotated[VersionsView, Field(description="What it was calculated with.")]
    known_at: Annotated[Instant | None, Field(description="Facts were read as known at this instant.")]


class PayslipsQuery(PageQuery):
    """Whose payslips."""

    employee_id: Annotated[Id, Field(description="Whose.")]
    year: Annotated[int, Field(description="Only of this tax year; 0 for all.", ge=0, le=9999, examples=[2026])] = 0


class TraceStepView(View):
    """One value on the way to an amount."""

    name: Annotated[str, Field(description="Name of the value.", max_length=200, examples=["monthly_wage"])]
    value: Annotated[str, Field(description="The value.", max_length=200, examples=["20000"])]
    source: Annotated[
        str | None,
        Field(description="INPUT, TABLE, STEP or another kind of source.", max_length=40, examples=["INPUT"]),
    ]
    expression: Annotated[
        str | None,
        Field(description="The expression that gave it.", max_length=2000, examples=["monthly_wage / 21.75"]),
    ]
    origin: Annotated[
        str | None,
        Field(
            description="Where it comes from: inputs, or law and table.",
            max_length=2000,
            examples=["segments.0.compensation_amount"],
        ),
    ]
    segment: Annotated[int, Field(description="Which piece of the period, 0 for the whole.", ge=0)]


class TraceView(View):
    """How one line came to its amount, leaves first."""

    line: Annotated[LineView, Field(description="The line.")]
    formula: Annotated[
        str, Field(description="The formula, or the statutory rule.", max_length=2000, examples=["monthly_wage"])
    ]
    steps: Annotated[list[TraceStepView], Field(description="Leaves first, the amount last.", max_length=2000)]


class ReplayView(View):
    """Whether a payslip, calculated anew from what it froze, is the same byte for byte."""

    matches: Annotated[bool, Field(description="Whether it is the same.")]
    stored_hash: Annotated[str, Field(description="The stored hash.", max_length=64, examples=["0" * 64])]
    replayed_hash: Annotated[
        str, Field(description="The hash of the fresh calculation.", max_length=64, examples=["0" * 64])
    ]
    differing_lines: Annotated[
        list[str], Field(description="Codes of lines that differ.", max_length=300, examples=[["BASE"]])
    ]


class CatalogQuery(DatedQuery, PageQuery):
    """Which definitions."""
