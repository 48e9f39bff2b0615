"""A work item says which step failed for whom, and why, in words for the person who mends it."""

from uuid import UUID, uuid4

import pytest
from muster.event.v1 import event_feed_pb2 as wire
from muster.payroll.v1 import events_pb2 as payroll
from pydantic import TypeAdapter, ValidationError

from application.events.schemas import WORK_ITEM_EXAMPLE, WorkItemId
from application.events.use_cases import why, work_item_view


def parked(reason: str, **entry: object) -> wire.ParkedEvent:
    told = {
        "type": "muster.payroll.v1.PayrollRunFinalizedEvent",
        "aggregate_type": "payroll_run",
        "aggregate_id": str(UUID(int=7)),
        "event_id": str(uuid4()),
        **entry,
    }
    return wire.ParkedEvent(consumer="pay.run", reason=reason, attempts=1, entry=wire.Entry(**told))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "understood"),
    [
        ("pay.run: RUN_FENCED: another worker has it", ("RUN_FENCED", "another worker has it")),
        ("pay.run: RULE_2: a: b", ("RULE_2", "a: b")),
        (
            "pay.run: failed unexpectedly (KeyError); see the log for this event",
            ("FAILED_UNEXPECTEDLY", "failed unexpectedly (KeyError); see the log for this event"),
        ),
        ("mended by hand", ("FAILED_UNEXPECTEDLY", "mended by hand")),
    ],
)
def test_the_reason_is_a_code_and_words(told: str, understood: tuple[str, str]) -> None:
    assert why(parked(told)) == understood


def test_an_event_of_the_company_concerns_no_employee() -> None:
    item = work_item_view("payroll", parked("x", payload=payroll.PayrollRunFinalizedEvent().SerializeToString()))

    assert (item.event, item.subject, item.subject_id) == ("PayrollRunFinalizedEvent", "payroll_run", UUID(int=7))
    assert item.employee_id is None


@pytest.mark.parametrize(("type_name", "payload"), [("muster.payroll.v9.NewerEvent", b""), ("", b"\xff\xff")])
def test_an_event_that_this_program_does_not_know_is_listed_all_the_same(type_name: str, payload: bytes) -> None:
    item = work_item_view("payroll", parked("x", **({"type": type_name} if type_name else {}), payload=payload))

    assert item.employee_id is None


def test_an_id_has_the_form_that_is_documented() -> None:
    form: TypeAdapter[str] = TypeAdapter(WorkItemId)

    assert form.validate_python(WORK_ITEM_EXAMPLE) == WORK_ITEM_EXAMPLE
    for odd in ("organization.people.roster", "..", "organization.%2e." + str(uuid4()), WORK_ITEM_EXAMPLE + "0"):
        with pytest.raises(ValidationError):
            form.validate_python(odd)
