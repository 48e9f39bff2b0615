"""Which topics a role opens, and under which keys an event is heard."""

import re
from pathlib import Path
from uuid import UUID

import pytest
from muster.attendance.v1 import events_pb2 as attendance
from muster.event.v1.event_feed_pb2 import Entry

from application.access.table import ROLES
from application.edge.refusal import Forbidden
from application.events.stream import describe
from application.events.topics import TOPICS, TopicUnknown, keys_of, keys_of_event, progress_key, topics_of
from chassis.principal import Principal
from kernel.ids import EmployeeId, TenantId

TENANT = TenantId(UUID(int=1))
ME = EmployeeId(UUID(int=7))
ACCOUNT = str(UUID(int=9))
EVERYBODYS = {"org_chart", "schedules", "me"}
OPENED = {
    "owner": set(TOPICS),
    "hr_admin": set(TOPICS) - {"payroll"},
    "payroll_admin": set(TOPICS) - {"accounts"},
    "payroll_approver": set(TOPICS) - {"tenant", "accounts"},
    "manager": EVERYBODYS,
    "employee": EVERYBODYS,
    "device": {"me"},
    "auditor": set(TOPICS),
    "hr_admin@department:ENG": EVERYBODYS,
}
DOCS = (Path(__file__).resolve().parents[3] / "docs/push.md").read_text()


def principal(*roles: str, employee: EmployeeId | None = ME) -> Principal:
    return Principal(TENANT, ACCOUNT, frozenset(roles), employee)


@pytest.mark.parametrize("role", OPENED)
def test_a_role_opens_these_topics(role: str) -> None:
    assert topics_of(principal(role)) == OPENED[role]
    assert set(ROLES) <= OPENED.keys()


def test_who_hears_everything_needs_no_other_key() -> None:
    assert keys_of(principal("auditor")) == (progress_key(str(TENANT)), (str(TENANT), "tenant"))
    assert keys_of(principal("hr_admin")) == ((str(TENANT), "tenant"),)


def test_an_employee_has_keys_of_their_own() -> None:
    keys = set(keys_of(principal("employee"), {"me"}))

    tenant = str(TENANT)
    assert keys == {
        (tenant, "employees", str(ME)), (tenant, "time", str(ME)), (tenant, "accounts", ACCOUNT),
    }  # fmt: skip


def test_a_device_hears_of_nobodys_timesheet() -> None:
    assert keys_of(principal("device", employee=None)) == ()


def test_a_topic_that_is_none_and_one_that_is_closed_are_refused() -> None:
    with pytest.raises(TopicUnknown):
        keys_of(principal("owner"), {str(UUID(int=2))})
    with pytest.raises(Forbidden):
        keys_of(principal("employee"), {"me", "payroll"})


def test_an_event_is_heard_by_topic_and_by_the_one_it_concerns() -> None:
    event = attendance.TimesheetApprovedEvent(employee_id=str(ME))
    entry = Entry(
        tenant_id=str(TENANT), type=event.DESCRIPTOR.full_name, aggregate_type="timesheet",
        payload=event.SerializeToString(),
    )  # fmt: skip

    keys = keys_of_event(entry)

    assert keys == ((str(TENANT), "tenant"), (str(TENANT), "time"), (str(TENANT), "time", str(ME)))


def test_an_event_of_an_unknown_kind_is_heard_by_those_who_hear_everything() -> None:
    entry = Entry(tenant_id=str(TENANT), type="muster.leave.v1.LeaveGrantedEvent", aggregate_type="leave_account")
    newer = Entry(tenant_id=str(TENANT), type="muster.attendance.v2.NewEvent", aggregate_type="timesheet")

    assert keys_of_event(entry) == ((str(TENANT), "tenant"),)
    assert keys_of_event(newer) == ((str(TENANT), "tenant"), (str(TENANT), "time"))


def test_the_documents_name_the_topics() -> None:
    document: dict[str, dict[str, object]] = {"paths": {}}
    describe(document)

    assert re.findall(r"^\| `([a-z_]+)` \|", DOCS.partition("## The messages")[0], re.MULTILINE) == list(TOPICS)
    assert document["paths"].keys() == {"/v1/stream", "/v1/ws"}
