"""What clients send and receive about people and the org chart."""

from typing import Annotated, Literal

from pydantic import Field

from application.edge.fields import (
    Amount,
    Body,
    CivilDate,
    Code,
    CountryCode,
    Currency,
    Id,
    Instant,
    MoneyView,
    Name,
    Text,
    View,
    Whole,
    Zone,
)
from application.edge.pages import AsOfQuery, PageQuery

PERSONAL = {"x-pii": "personal"}
SENSITIVE = {"x-pii": "sensitive"}
PAY = {"x-pii": "pay"}
NAME = {"x-pii": "public"}

EmployeeStatus = Literal["PENDING", "ACTIVE", "TERMINATED"]
EmploymentType = Literal["FULL_TIME", "PART_TIME", "INTERN", "CONTRACTOR", "TEMPORARY"]
EndReason = Literal["RESIGNATION", "DISMISSAL", "REDUNDANCY", "END_OF_TERM", "MUTUAL_AGREEMENT", "RETIREMENT", "DEATH"]
PayUnit = Literal["HOUR", "DAY", "WEEK", "MONTH", "YEAR"]
FlsaStatus = Literal["EXEMPT", "NON_EXEMPT"]
ChangeKind = Literal[
    "HIRE",
    "REHIRE",
    "TRANSFER",
    "PROMOTION",
    "MANAGER",
    "COMPENSATION",
    "STATUTORY_PROFILE",
    "PERSON",
    "BANK_ACCOUNTS",
    "TERMINATION",
    "CORRECTION",
    "CANCELLATION",
]

EmployeeNumber = Annotated[
    str,
    Field(
        description="The company's own number, unique in the tenant.",
        min_length=1,
        max_length=40,
        pattern="^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        examples=["E0001"],
    ),
]
Rate = Annotated[str, Field(max_length=17, pattern=r"^[0-9]{1,12}(\.[0-9]{1,4})?$", examples=["20000.00"])]
Fte = Annotated[
    str,
    Field(
        description="Full-time equivalent, over 0 and up to 2; 1 is full time.",
        max_length=8,
        pattern=r"^[0-2](\.[0-9]{1,6})?$",
        examples=["1"],
    ),
]
Email = Annotated[str, Field(max_length=254, pattern="^([^@ ]{1,64}@[^@ ]{1,189})?$", examples=["li.wei@example.com"])]
Phone = Annotated[str, Field(max_length=40, pattern="^[+0-9 ()./-]*$", examples=["+86 21 5555 0100"])]
NationalId = Annotated[
    str, Field(max_length=40, pattern="^([A-Za-z0-9][A-Za-z0-9 -]{1,39})?$", examples=["310101199005010014"])
]
Reason = Annotated[
    str,
    Field(
        description="Why, for the audit trail.",
        max_length=200,
        pattern="^[^\\u0000-\\u001f\\u007f]*$",
        examples=["PROMOTION"],
    ),
]
StatutoryValues = Annotated[
    dict[
        Annotated[str, Field(max_length=64, pattern="^[a-z][a-z0-9_]*$")],
        Annotated[str, Field(max_length=200)],
    ],
    Field(
        description="Answers by name; numbers are decimal strings. CN: `NONE` as the base of a contribution that is"
        " not paid.",
        max_length=60,
        examples=[{"social_insurance_city": "SHANGHAI", "housing_fund_rate": "0.07"}],
    ),
]


# ---- parts ----------------------------------------------------------------------------------------------------------


class CompensationBody(Body):
    """The contractual pay of an assignment."""

    amount: Annotated[Rate, Field(description="Major units per unit of work.", json_schema_extra=PAY)]
    currency: Annotated[Currency, Field(description="ISO 4217 code.")]
    unit: Annotated[PayUnit, Field(description="The span of work that the amount pays for.")]


class AllowanceBody(CompensationBody):
    """A regular payment beside the compensation."""

    code: Annotated[Code, Field(description="Code that pay components name.", examples=["MEAL"])]


class AllowanceChangeBody(Body):
    """An allowance that starts, changes or ends."""

    code: Annotated[Code, Field(description="Code of the allowance.", examples=["MEAL"])]
    amount: Annotated[CompensationBody | None, Field(description="What holds from the date on; null ends it.")] = None


class StatutoryProfileBody(Body):
    """Answers that a country's payroll law asks for."""

    country: Annotated[CountryCode, Field(description="ISO 3166-1 alpha-2.")]
    values: Annotated[StatutoryValues, Field(json_schema_extra=PAY)]


class BankAccountBody(Body):
    """A bank account and its part of the net pay; one that names neither percentage nor amount takes the rest."""

    holder_name: Annotated[Name, Field(description="Name of the holder.", json_schema_extra=SENSITIVE)]
    account_number: Annotated[
        str,
        Field(
            description="Account number or IBAN, without spaces.",
            max_length=40,
            pattern="^[A-Za-z0-9-]{4,40}$",
            examples=["6222020200012345678"],
            json_schema_extra=SENSITIVE,
        ),
    ]
    bank_code: Annotated[
        str,
        Field(
            description="CNAPS, BIC, routing number or sort code; may be empty.",
            max_length=20,
            pattern="^[A-Za-z0-9-]*$",
            examples=["102100099996"],
        ),
    ] = ""
    bank_name: Annotated[Text, Field(description="Name of the bank; may be empty.", examples=["ICBC"])] = ""
    share_percent: Annotated[
        Annotated[str, Field(max_length=8, pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?$", examples=["40"])] | None,
        Field(
            description="Percent of what fixed amounts leave of the net pay. The percentages of an employee sum to 100,"
            " or to less where one account takes the rest.",
            json_schema_extra=SENSITIVE,
        ),
    ] = None
    amount: Annotated[
        Amount | None,
        Field(
            description="Fixed amount of each net pay, over 0, paid before percentages, in order, as far as the net pay"
            " goes; one currency for all accounts.",
            json_schema_extra=SENSITIVE,
        ),
    ] = None


class PersonBody(Body):
    """The person behind an employee."""

    legal_name: Annotated[Name, Field(description="Name as in the identity document.", json_schema_extra=NAME)]
    preferred_name: Annotated[
        Text | None, Field(description="Name that the person goes by.", examples=["Wei"], json_schema_extra=NAME)
    ] = None
    birth_date: Annotated[CivilDate | None, Field(description="Day of birth.", json_schema_extra=PERSONAL)] = None
    national_id: Annotated[
        NationalId | None, Field(description="Number of the identity document.", json_schema_extra=SENSITIVE)
    ] = None
    email: Annotated[Email | None, Field(description="Email address.", json_schema_extra=PERSONAL)] = None
    phone: Annotated[Phone | None, Field(description="Telephone number.", json_schema_extra=PERSONAL)] = None
    bank_accounts: Annotated[
        tuple[BankAccountBody, ...],
        Field(description="Where the net pay goes.", max_length=5, json_schema_extra=SENSITIVE),
    ] = ()


class AssignmentBody(Body):
    """Where and for whom a person works."""

    legal_entity: Annotated[Code, Field(description="Code of the employer.", examples=["ACME-CN"])]
    department: Annotated[Code, Field(description="Code of the department.", examples=["ENG"])]
    position: Annotated[Code | None, Field(description="Code of the position.", examples=["ENGINEER"])] = None
    location: Annotated[Code, Field(description="Code of the workplace.", examples=["SHANGHAI"])]
    manager_id: Annotated[Id | None, Field(description="The manager, an employee.")] = None
    work_schedule: Annotated[
        Code | None, Field(description="Code of the work schedule.", examples=["STANDARD-5X8"])
    ] = None
    pay_group: Annotated[Code | None, Field(description="Code of the pay group.", examples=["CN-MONTHLY"])] = None
    fte: Fte = "1"
    flsa_status: Annotated[
        FlsaStatus | None, Field(description="US only: status under the Fair Labor Standards Act.")
    ] = None
    grade: Annotated[
        Code | None,
        Field(description="Grade of the job, the company's own code.", examples=["P6"], json_schema_extra=PAY),
    ] = None


class AssignmentChangeBody(Body):
    """The facts of an assignment that change; what is not named stays, null means none from then on."""

    legal_entity: Annotated[Code, Field(description="Code of the employer.", default=None, examples=["ACME-CN"])]
    department: Annotated[Code, Field(description="Code of the department.", default=None, examples=["ENG"])]
    position: Annotated[Code | None, Field(description="Code of the position.", default=None, examples=["ENGINEER"])]
    location: Annotated[Code, Field(description="Code of the workplace.", default=None, examples=["SHANGHAI"])]
    manager_id: Annotated[Id | None, Field(description="The manager, an employee.", default=None)]
    work_schedule: Annotated[
        Code | None, Field(description="Code of the work schedule.", default=None, examples=["STANDARD-5X8"])
    ]
    pay_group: Annotated[
        Code | None, Field(description="Code of the pay group.", default=None, examples=["CN-MONTHLY"])
    ]
    fte: Annotated[Fte, Field(default=None)]
    flsa_status: Annotated[FlsaStatus, Field(description="US only.", default=None)]
    employment_type: Annotated[EmploymentType, Field(description="Kind of the contract.", default=None)]
    grade: Annotated[
        Code | None,
        Field(
            description="Grade of the job, the company's own code.",
            default=None,
            examples=["P6"],
            json_schema_extra=PAY,
        ),
    ]


class PersonChangeBody(Body):
    """The facts of a person that change; what is not named stays, null removes."""

    legal_name: Annotated[
        Name, Field(description="Name as in the identity document.", default=None, json_schema_extra=NAME)
    ]
    preferred_name: Annotated[
        Text | None,
        Field(description="Name that the person goes by.", default=None, examples=["Wei"], json_schema_extra=NAME),
    ]
    birth_date: Annotated[CivilDate, Field(description="Day of birth.", default=None, json_schema_extra=PERSONAL)]
    national_id: Annotated[
        NationalId | None,
        Field(description="Number of the identity document.", default=None, json_schema_extra=SENSITIVE),
    ]
    email: Annotated[Email | None, Field(description="Email address.", default=None, json_schema_extra=PERSONAL)]
    phone: Annotated[Phone | None, Field(description="Telephone number.", default=None, json_schema_extra=PERSONAL)]


# ---- commands -------------------------------------------------------------------------------------------------------


class HireBody(Body):
    """A person who was never here is hired."""

    employee_number: EmployeeNumber
    person: Annotated[PersonBody, Field(description="The person.")]
    hire_date: Annotated[CivilDate, Field(description="First day.", examples=["2026-01-05"])]
    end_date: Annotated[CivilDate | None, Field(description="Last day of a fixed term.")] = None
    employment_type: Annotated[EmploymentType, Field(description="Kind of the contract.")] = "FULL_TIME"
    assignment: Annotated[AssignmentBody, Field(description="Where and for whom.")]
    compensation: Annotated[CompensationBody | None, Field(description="The contractual pay.")] = None
    allowances: Annotated[
        tuple[AllowanceBody, ...], Field(description="Allowances from the first day.", max_length=50)
    ] = ()
    statutory_profile: Annotated[
        StatutoryProfileBody | None, Field(description="Statutory answers from the first day.")
    ] = None
    reason: Reason = ""


class HireBatchBody(Body):
    """Many hires at once; each is decided alone."""

    employees: Annotated[list[HireBody], Field(description="The hires.", min_length=1, max_length=500)]
    dry_run: Annotated[bool, Field(description="Decide and answer, write nothing.", strict=True)] = False
    reason: Reason = ""


class RehireBody(Body):
    """A former employee comes back, with the same id and number."""

    hire_date: Annotated[CivilDate, Field(description="First day of the new spell.")]
    end_date: Annotated[CivilDate | None, Field(description="Last day of a fixed term.")] = None
    employment_type: Annotated[EmploymentType, Field(description="Kind of the contract.")] = "FULL_TIME"
    assignment: Annotated[AssignmentBody, Field(description="Where and for whom.")]
    compensation: Annotated[CompensationBody | None, Field(description="The contractual pay.")] = None
    allowances: Annotated[
        tuple[AllowanceBody, ...], Field(description="Allowances from the first day.", max_length=50)
    ] = ()
    statutory_profile: Annotated[
        StatutoryProfileBody | None, Field(description="Statutory answers from the first day.")
    ] = None
    reason: Reason = ""


class TransferBody(Body):
    """Facts of the assignment change from a date on."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.")]
    assignment: Annotated[AssignmentChangeBody, Field(description="What changes.")]
    reason: Reason = ""


class PromotionBody(Body):
    """Position, grade and pay rise together from a date on."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.")]
    assignment: Annotated[AssignmentChangeBody, Field(description="What changes.")]
    compensation: Annotated[
        CompensationBody | None, Field(description="The new contractual pay; not given where it stays.")
    ] = None
    reason: Reason = "PROMOTION"


class ManagerChangeBody(Body):
    """The manager changes from a date on."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.")]
    manager_id: Annotated[Id | None, Field(description="The new manager, null for none.")]
    reason: Reason = ""


class CompensationChangeBody(Body):
    """The compensation, or allowances, change from a date on."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.", examples=["2026-11-16"])]
    compensation: Annotated[CompensationBody | None, Field(description="The new contractual pay.")] = None
    allowances: Annotated[
        tuple[AllowanceChangeBody, ...], Field(description="Allowances that start, change or end.", max_length=50)
    ] = ()
    reason: Reason = ""


class BankAccountsBody(Body):
    """The bank accounts are replaced from a date on."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.")]
    bank_accounts: Annotated[
        list[BankAccountBody],
        Field(
            description="All accounts from then on. They take every net pay whole: percentages that sum to 100, or one"
            " account without percentage and amount, which takes the rest.",
            max_length=5,
        ),
    ]
    reason: Reason = ""


class StatutoryProfileChangeBody(Body):
    """Statutory answers change from a date on; those not named stay, an empty one is removed."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.")]
    statutory_profile: Annotated[StatutoryProfileBody, Field(description="The answers that change.")]
    reason: Reason = ""


class PersonUpdateBody(Body):
    """Facts of the person change from a date on."""

    effective_date: Annotated[CivilDate | None, Field(description="First day on which it holds; today.")] = None
    person: Annotated[PersonChangeBody, Field(description="What changes.")]
    reason: Reason = ""


class TerminationBody(Body):
    """An employment ends."""

    end_date: Annotated[CivilDate, Field(description="Last day.", examples=["2026-11-20"])]
    end_reason: Annotated[EndReason, Field(description="Why it ends.")]
    reason: Reason = ""


class CorrectionBody(Body):
    """A change was recorded wrongly: what it should have said. Only what is named replaces what it said."""

    change_id: Annotated[Id, Field(description="The change, from the history.")]
    effective_date: Annotated[
        CivilDate | None,
        Field(description="The right effective date, as the history has it: of a termination the day after the last."),
    ] = None
    assignment: Annotated[AssignmentChangeBody | None, Field(description="The right facts of the assignment.")] = None
    compensation: Annotated[CompensationBody | None, Field(description="The right compensation.")] = None
    allowances: Annotated[
        tuple[AllowanceChangeBody, ...], Field(description="The right allowances.", max_length=50)
    ] = ()
    statutory_profile: Annotated[StatutoryProfileBody | None, Field(description="The right statutory answers.")] = None
    person: Annotated[PersonChangeBody | None, Field(description="The right facts of the person.")] = None
    end_reason: Annotated[EndReason | None, Field(description="Of a termination: the right reason.")] = None
    reason: Reason = ""


# ---- answers --------------------------------------------------------------------------------------------------------


class BankAccountView(View):
    """A bank account and its part of the net pay; one with neither percentage nor amount takes the rest."""

    holder_name: Annotated[str, Field(description="Name of the holder.", max_length=200, examples=["Li Wei"])]
    account_number: Annotated[str, Field(description="Account number or IBAN.", max_length=40, examples=["6222020200"])]
    bank_code: Annotated[str, Field(description="Bank identifier, may be empty.", max_length=20, examples=["1021"])]
    bank_name: Annotated[str, Field(description="Name of the bank, may be empty.", max_length=200, examples=["ICBC"])]
    share_percent: Annotated[
        str | None,
        Field(
            description="Percent of what fixed amounts leave of the net pay; null for none.",
            max_length=8,
            examples=["40"],
        ),
    ]
    amount: Annotated[MoneyView | None, Field(description="Fixed amount of each net pay; null for none.")]


class PersonView(View):
    """The person, as far as the caller may read."""

    legal_name: Annotated[Name, Field(description="Name as in the identity document.", json_schema_extra=NAME)]
    preferred_name: Annotated[
        str | None,
        Field(description="Name that the person goes by.", max_length=200, examples=["Wei"], json_schema_extra=NAME),
    ]
    birth_date: Annotated[
        CivilDate | None, Field(description="Day of birth; null where hidden.", json_schema_extra=PERSONAL)
    ]
    national_id: Annotated[
        str | None,
        Field(
            description="Number of the identity document; null where hidden.",
            max_length=40,
            examples=["310101199005010014"],
            json_schema_extra=SENSITIVE,
        ),
    ]
    email: Annotated[
        str | None,
        Field(
            description="Email address; null where hidden.",
            max_length=254,
            examples=["li.wei@example.com"],
            json_schema_extra=PERSONAL,
        ),
    ]
    phone: Annotated[
        str | None,
        Field(
            description="Telephone number; null where hidden.",
            max_length=40,
            examples=["+86 21 5555 0100"],
            json_schema_extra=PERSONAL,
        ),
    ]
    bank_accounts: Annotated[
        list[BankAccountView] | None,
        Field(description="Where the net pay goes; null where hidden.", max_length=5, json_schema_extra=SENSITIVE),
    ]


class EmploymentView(View):
    """A spell of employment."""

    hire_date: Annotated[CivilDate | None, Field(description="First day.")]
    end_date: Annotated[CivilDate | None, Field(description="Last day, null while open.")]
    end_reason: Annotated[EndReason | None, Field(description="Why it ended, null while open.")]


class AssignmentView(View):
    """Where and for whom a person works."""

    id: Annotated[Id, Field(description="The assignment.")]
    legal_entity: Annotated[str, Field(description="Code of the employer.", max_length=40, examples=["ACME-CN"])]
    department: Annotated[str, Field(description="Code of the department.", max_length=40, examples=["ENG"])]
    position: Annotated[str | None, Field(description="Code of the position.", max_length=40, examples=["ENGINEER"])]
    location: Annotated[str, Field(description="Code of the workplace.", max_length=40, examples=["SHANGHAI"])]
    manager_id: Annotated[Id | None, Field(description="The manager, an employee.")]
    work_schedule: Annotated[
        str | None, Field(description="Code of the work schedule.", max_length=40, examples=["STANDARD-5X8"])
    ]
    pay_group: Annotated[
        str | None, Field(description="Code of the pay group.", max_length=40, examples=["CN-MONTHLY"])
    ]
    fte: Annotated[str, Field(description="Full-time equivalent.", max_length=8, examples=["1"])]
    flsa_status: Annotated[FlsaStatus | None, Field(description="US only.")]
    grade: Annotated[
        str | None,
        Field(
            description="Grade of the job; null where hidden or none.",
            max_length=40,
            examples=["P6"],
            json_schema_extra=PAY,
        ),
    ]


class CompensationView(View):
    """The contractual pay of an assignment."""

    amount: Annotated[str, Field(description="Major units per unit of work.", max_length=20, examples=["20000.00"])]
    currency: Annotated[str, Field(description="ISO 4217 code.", max_length=3, examples=["CNY"])]
    unit: Annotated[PayUnit, Field(description="The span of work that the amount pays for.")]


class AllowanceView(CompensationView):
    """A regular payment beside the compensation."""

    code: Annotated[str, Field(description="Code of the allowance.", max_length=40, examples=["MEAL"])]


class StatutoryProfileView(View):
    """Answers that a country's payroll law asks for."""

    country: Annotated[str, Field(description="ISO 3166-1 alpha-2.", max_length=2, examples=["CN"])]
    values: Annotated[
        dict[str, str],
        Field(description="Answers by name.", max_length=64, examples=[{"social_insurance_city": "SHANGHAI"}]),
    ]


class EmployeeView(View):
    """An employee as of a date, as far as the caller may read; what is hidden is null."""

    id: Annotated[Id, Field(description="The employee, the same over rehires.")]
    employee_number: Annotated[str, Field(description="The company's own number.", max_length=40, examples=["E0001"])]
    status: Annotated[EmployeeStatus | None, Field(description="Where the employee stands on `as_of`.")]
    as_of: Annotated[CivilDate | None, Field(description="The date that the facts are of.")]
    version: Annotated[int, Field(description="Version of the employee; the ETag in quotes.", ge=0, examples=[1])]
    person: Annotated[PersonView, Field(description="The person.")]
    employment: Annotated[EmploymentView, Field(description="The spell of employment.")]
    employment_type: Annotated[EmploymentType | None, Field(description="Kind of the contract.")]
    assignment: Annotated[AssignmentView | None, Field(description="Where and for whom.")]
    compensation: Annotated[
        CompensationView | None,
        Field(description="The contractual pay; null where hidden or none.", json_schema_extra=PAY),
    ]
    allowances: Annotated[
        list[AllowanceView] | None,
        Field(description="Allowances by code; null where hidden.", max_length=50, json_schema_extra=PAY),
    ]
    statutory_profiles: Annotated[
        list[StatutoryProfileView] | None,
        Field(description="Statutory answers by country; null where hidden.", max_length=10, json_schema_extra=PAY),
    ]
    updated_at: Annotated[Instant | None, Field(description="When the latest change was recorded.")]


class RefusalView(View):
    """Why one item of a batch was refused."""

    reason: Annotated[str, Field(description="Stable code.", max_length=60, examples=["EMPLOYEE_NUMBER_TAKEN"])]
    message: Annotated[str, Field(description="What to do.", max_length=1000, examples=["choose another number"])]
    field: Annotated[
        str | None, Field(description="The field at fault inside the item.", max_length=200, examples=["hire_date"])
    ]


class HireResultView(View):
    """What became of one hire."""

    index: Annotated[int, Field(description="Place of the item in the request, from 0.", ge=0, le=499, examples=[0])]
    employee_number: Annotated[str, Field(description="The company's own number.", max_length=40, examples=["E0001"])]
    id: Annotated[Id | None, Field(description="The new employee, null where refused.")]
    assignment_id: Annotated[Id | None, Field(description="The assignment, null where refused.")]
    refusal: Annotated[RefusalView | None, Field(description="Why it was refused, null where it was done.")]


class HireBatchView(View):
    """One result per hire, in the order of the request."""

    results: Annotated[list[HireResultView], Field(description="The results.", max_length=500)]


class ChangeView(View):
    """One recorded change of an employee."""

    id: Annotated[Id, Field(description="The change.")]
    version: Annotated[int, Field(description="Version of the employee after it.", ge=0, examples=[1])]
    kind: Annotated[ChangeKind | None, Field(description="What it was.")]
    effective_date: Annotated[CivilDate | None, Field(description="From when its facts hold.")]
    recorded_at: Annotated[Instant | None, Field(description="When it was recorded.")]
    fields: Annotated[
        dict[str, str],
        Field(
            description="The facts that it set, as text; those hidden from the caller read `***`.",
            max_length=1000,
            examples=[{"department": "ENG"}],
        ),
    ]
    supersedes: Annotated[Id | None, Field(description="The change that it superseded.")]
    cancels: Annotated[list[Id], Field(description="The changes that it cancelled.", max_length=500)]
    standing: Annotated[bool, Field(description="True while neither superseded nor cancelled.")]
    reason: Annotated[str, Field(description="Why, as told with it.", max_length=200, examples=["PROMOTION"])]


class HistoryView(View):
    """What was recorded of an employee, in the order of recording."""

    data: Annotated[list[ChangeView], Field(description="The changes.", max_length=1000)]
    next_cursor: Annotated[
        str | None,
        Field(description="`cursor` of the next page, null at the end.", max_length=1000, examples=["b2Zmc2V0"]),
    ]
    employments: Annotated[list[EmploymentView], Field(description="The spells, earliest first.", max_length=200)]


# ---- queries --------------------------------------------------------------------------------------------------------


class EmployeesQuery(PageQuery, AsOfQuery):
    """Which employees. A manager is shown the team: who reports to them, directly or through others."""

    status: Annotated[EmployeeStatus | None, Field(description="Only this status.")] = None
    department: Annotated[Code | None, Field(description="Only this department.")] = None
    legal_entity: Annotated[Code | None, Field(description="Only this employer.", examples=["ACME-CN"])] = None
    pay_group: Annotated[Code | None, Field(description="Only this pay group.", examples=["CN-MONTHLY"])] = None
    location: Annotated[Code | None, Field(description="Only this workplace.", examples=["SHANGHAI"])] = None
    manager_id: Annotated[Id | None, Field(description="Only who reports to this employee directly.")] = None
    q: Annotated[
        str | None,
        Field(
            description="Part of a name, or the beginning of an employee number; case is ignored.",
            max_length=100,
            pattern="^[^\\u0000-\\u001f\\u007f]*$",
            examples=["wei"],
        ),
    ] = None
    employee_number: Annotated[EmployeeNumber | None, Field(description="Exactly this number.")] = None
    updated_since: Annotated[Instant | None, Field(description="Only who was changed at or after this instant.")] = None
    sort: Annotated[Literal["employee_number", "name", "hire_date"], Field(description="The order; ties by id.")] = (
        "employee_number"
    )


class HistoryQuery(PageQuery):
    """Which changes."""

    known_at: Annotated[Instant | None, Field(description="Only what was recorded by this instant.")] = None


# ---- org chart ------------------------------------------------------------------------------------------------------

EntryKind = Literal["LEGAL_ENTITY", "WITHHOLDING_REGISTRATION", "LOCATION", "DEPARTMENT", "POSITION"]


class LegalEntityBody(Body):
    """An employer in law."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.", examples=["2026-01-01"])]
    name: Annotated[Name, Field(description="Name.", examples=["Acme (Shanghai) Co., Ltd."])]
    country: Annotated[CountryCode, Field(description="ISO 3166-1 alpha-2.")]
    currency: Annotated[Currency, Field(description="ISO 4217 code of its books.")] = "CNY"
    registration_number: Annotated[
        str, Field(description="Number in the company register.", max_length=60, examples=["91310000"])
    ] = ""
    reason: Reason = ""


class WithholdingRegistrationBody(Body):
    """A registration under which tax is withheld: CN withholding agent, US EIN, UK PAYE reference."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.", examples=["2026-01-01"])]
    name: Annotated[Name, Field(description="Name.", examples=["Acme withholding agent"])]
    legal_entity: Annotated[Code, Field(description="Code of the legal entity.", examples=["ACME-CN"])]
    country: Annotated[CountryCode, Field(description="ISO 3166-1 alpha-2.")]
    currency: Annotated[Currency, Field(description="ISO 4217 code in which it withholds.")]
    registration_number: Annotated[
        str, Field(description="The authority's number.", max_length=60, examples=["91310000"])
    ] = ""
    reason: Reason = ""


class LocationBody(Body):
    """A workplace."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.", examples=["2026-01-01"])]
    name: Annotated[Name, Field(description="Name.", examples=["Shanghai office"])]
    time_zone: Annotated[Zone, Field(description="IANA zone.")]
    country: Annotated[CountryCode, Field(description="ISO 3166-1 alpha-2.")]
    address: Annotated[
        str,
        Field(description="Address in one line.", max_length=500, examples=["1 Century Avenue, Shanghai"]),
    ] = ""
    reason: Reason = ""


class DepartmentBody(Body):
    """A department."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.", examples=["2026-01-01"])]
    name: Annotated[Name, Field(description="Name.", examples=["Engineering"])]
    parent: Annotated[Code | None, Field(description="Code of the department above it.", examples=["HQ"])] = None
    reason: Reason = ""


class PositionBody(Body):
    """A position."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it holds.", examples=["2026-01-01"])]
    name: Annotated[Name, Field(description="Name.", examples=["Engineer"])]
    department: Annotated[Code | None, Field(description="Code of its department, null for any.")] = None
    headcount: Annotated[
        Whole, Field(description="How many people it is planned for, 0 = no plan.", ge=0, le=1_000_000)
    ] = 0
    reason: Reason = ""


class EntryClosingBody(Body):
    """An entry of the org chart is closed from a date on."""

    effective_date: Annotated[CivilDate, Field(description="First day on which it is closed.")]
    reason: Reason = ""


class EntryClosingView(View):
    """An entry that is closed from a date on."""

    code: Annotated[str, Field(description="Code, unique in its kind.", max_length=40, examples=["ENG"])]
    closed_from: Annotated[CivilDate, Field(description="First day on which it is closed.")]
    version: Annotated[int, Field(description="Changes with each publishing; the ETag in quotes.", ge=0)]


class EntryView(View):
    """What every entry of the org chart has."""

    code: Annotated[str, Field(description="Code, unique in its kind.", max_length=40, examples=["ENG"])]
    name: Annotated[str, Field(description="Name.", max_length=200, examples=["Engineering"])]
    effective_date: Annotated[CivilDate | None, Field(description="Since when it says this.")]
    end_date: Annotated[
        CivilDate | None, Field(description="First day on which it says something else or is closed; null = open.")
    ]
    version: Annotated[int, Field(description="Changes with each publishing; the ETag in quotes.", ge=0)]


class LegalEntityView(EntryView):
    """An employer in law."""

    country: Annotated[str, Field(description="ISO 3166-1 alpha-2.", max_length=2, examples=["CN"])]
    currency: Annotated[str, Field(description="ISO 4217 code of its books.", max_length=3, examples=["CNY"])]
    registration_number: Annotated[str, Field(description="Number in the register.", max_length=60, examples=["91"])]


class WithholdingRegistrationView(EntryView):
    """A registration under which tax is withheld."""

    legal_entity: Annotated[str, Field(description="Code of the legal entity.", max_length=40, examples=["ACME-CN"])]
    country: Annotated[str, Field(description="ISO 3166-1 alpha-2.", max_length=2, examples=["CN"])]
    currency: Annotated[str, Field(description="ISO 4217 code.", max_length=3, examples=["CNY"])]
    registration_number: Annotated[str, Field(description="The authority's number.", max_length=60, examples=["91"])]


class LocationView(EntryView):
    """A workplace."""

    time_zone: Annotated[str, Field(description="IANA zone.", max_length=64, examples=["Asia/Shanghai"])]
    country: Annotated[str, Field(description="ISO 3166-1 alpha-2.", max_length=2, examples=["CN"])]
    address: Annotated[str, Field(description="Address in one line.", max_length=500, examples=["1 Century Avenue"])]


class DepartmentView(EntryView):
    """A department."""

    parent: Annotated[str | None, Field(description="Code of the department above it.", max_length=40, examples=["HQ"])]


class PositionView(EntryView):
    """A position."""

    department: Annotated[str | None, Field(description="Code of its department.", max_length=40, examples=["ENG"])]
    headcount: Annotated[int, Field(description="How many people it is planned for, 0 = no plan.", ge=0)]


class HeadcountView(View):
    """A position with its people on a date. The plan refuses nobody; more people than planned show as negative."""

    position: Annotated[str, Field(description="Code of the position.", max_length=40, examples=["ENGINEER"])]
    name: Annotated[str, Field(description="Name.", max_length=200, examples=["Engineer"])]
    department: Annotated[str | None, Field(description="Code of its department.", max_length=40, examples=["ENG"])]
    planned: Annotated[int | None, Field(description="How many people it is planned for; null = no plan.", ge=1)]
    filled: Annotated[int, Field(description="How many people in employment hold it on the date.", ge=0)]
    vacant: Annotated[
        int | None,
        Field(
            description="Planned less filled, negative where more hold it than planned; null = no plan.",
            ge=-10_000_000,
            le=1_000_000,
        ),
    ]


class OrgChartView(View):
    """The whole chart on a date."""

    as_of: Annotated[CivilDate | None, Field(description="The date.")]
    version: Annotated[int, Field(description="Version of the chart.", ge=0)]
    published_at: Annotated[Instant | None, Field(description="When that version was published; null where empty.")]
    legal_entities: Annotated[list[LegalEntityView], Field(description="By code.", max_length=20000)]
    withholding_registrations: Annotated[
        list[WithholdingRegistrationView], Field(description="By code.", max_length=20000)
    ]
    locations: Annotated[list[LocationView], Field(description="By code.", max_length=20000)]
    departments: Annotated[list[DepartmentView], Field(description="By code.", max_length=20000)]
    positions: Annotated[list[PositionView], Field(description="By code.", max_length=20000)]


class OrgChartQuery(AsOfQuery):
    """Which chart: of a day, as it is known, or at a version of it."""

    version: Annotated[
        int | None, Field(description="This version of the chart, the latest where it is not given.", ge=1, le=10**15)
    ] = None


class EntriesQuery(PageQuery, OrgChartQuery):
    """Which entries of one kind."""
