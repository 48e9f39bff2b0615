"""An employee that is written as JSON without models is exactly what the published view would write."""

import orjson
import pytest
from google.type import date_pb2
from muster.organization.v1 import employee_pb2 as wire
from muster.type.v1.money_pb2 import Money

from application.access import FieldClass
from application.people.codec import MASK, change_view, employee_view
from application.people.schemas import EmployeeView

EVERYTHING = frozenset(FieldClass)
ID = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"


def an_employee() -> wire.Employee:
    employee = wire.Employee(
        employee_id=ID,
        employee_number="E0001",
        status=wire.EMPLOYEE_STATUS_ACTIVE,
        etag="7",
        as_of=date_pb2.Date(year=2026, month=11, day=3),
        person=wire.Person(
            legal_name="Li Wei",
            preferred_name="Wei",
            birth_date=date_pb2.Date(year=1990, month=5, day=1),
            national_id="310101199005010014",
            email="li.wei@example.com",
            phone="+86 21 5555 0100",
            bank_accounts=[
                wire.BankAccount(holder_name="Li Wei", account_number="62220202", share_percent="40"),
                wire.BankAccount(
                    holder_name="Li Wei", account_number="62220203", amount=Money(currency="CNY", minor_units=123450)
                ),
                wire.BankAccount(holder_name="Li Wei", account_number="62220204"),
            ],
        ),
        employment=wire.Employment(
            hire_date=date_pb2.Date(year=2021, month=1, day=5),
            end_date=date_pb2.Date(year=2026, month=12, day=31),
            end_reason=wire.END_REASON_RETIREMENT,
        ),
        work=wire.WorkFacts(
            assignment=wire.Assignment(
                assignment_id=ID,
                legal_entity="ACME-CN",
                department="ENG",
                position="ENGINEER",
                location="SHANGHAI",
                manager_id=ID,
                work_schedule="STANDARD-5X8",
                pay_group="CN-MONTHLY",
                fte="0.5",
                flsa_status=wire.FLSA_STATUS_EXEMPT,
                employment_type=wire.EMPLOYMENT_TYPE_PART_TIME,
                grade="P6",
            ),
            compensation=wire.Compensation(amount="20000.00", currency="CNY", unit=wire.PAY_UNIT_MONTH),
            allowances=[wire.Allowance(code="MEAL", amount="10", currency="CNY", unit=wire.PAY_UNIT_DAY)],
            statutory_profiles=[wire.StatutoryProfile(country="CN", values={"b": "2", "a": "1"})],
        ),
    )
    employee.update_time.FromJsonString("2026-11-23T21:40:08.204388Z")
    return employee


@pytest.mark.parametrize("employee", [an_employee(), wire.Employee(employee_id=ID)], ids=["full", "empty"])
@pytest.mark.parametrize("shown", [EVERYTHING, frozenset({FieldClass.PUBLIC}), frozenset[FieldClass]()])
def test_it_reads_back_as_the_published_view(employee: wire.Employee, shown: frozenset[FieldClass]) -> None:
    if not employee.person.legal_name:
        employee.person.legal_name = "X"

    written = orjson.dumps(employee_view(employee, shown))

    assert EmployeeView.model_validate_json(written).model_dump_json().encode() == written


def test_an_instant_without_fraction_is_written_as_pydantic_writes_it() -> None:
    employee = an_employee()
    employee.update_time.FromJsonString("2026-11-23T21:40:08Z")

    written = orjson.dumps(employee_view(employee, EVERYTHING))

    assert EmployeeView.model_validate_json(written).model_dump_json().encode() == written


@pytest.mark.parametrize(
    ("hidden", "gone"),
    [
        (FieldClass.PAY, {"20000.00", "MEAL", "P6"}),
        (FieldClass.SENSITIVE, {"310101199005010014", "62220202"}),
        (FieldClass.PERSONAL, {"1990-05-01", "li.wei@example.com", "+86 21 5555 0100"}),
    ],
)
def test_a_class_that_is_not_shown_is_nowhere(hidden: FieldClass, gone: set[str]) -> None:
    everything = orjson.dumps(employee_view(an_employee(), EVERYTHING)).decode()

    written = orjson.dumps(employee_view(an_employee(), EVERYTHING - {hidden})).decode()

    assert all(text in everything for text in gone)
    assert not any(text in written for text in gone)


def test_a_fact_of_the_history_that_nobody_classified_is_hidden_from_who_reads_no_pay() -> None:
    change = wire.EmployeeChange(change_id=ID, fields={"department": "ENG", "something_new": "1", "birth_date": "x"})

    view = change_view(change, frozenset({FieldClass.PUBLIC}))

    assert view.fields == {"birth_date": MASK, "department": "ENG", "something_new": MASK}
