"""Published events as CloudEvents 1.0: the envelope, the facts in the API's words, types that are not known yet."""

import json
import re
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.attendance.v1 import events_pb2 as attendance
from muster.event.v1 import event_feed_pb2 as wire
from muster.organization.v1 import events_pb2 as organization
from muster.organization.v1 import org_chart_pb2

from application.events.cloud_events import PUBLISHED, cloud_event, descriptors, event_types, facts_of

TENANT = "019ab3c4-0000-7000-8000-000000000001"
EVENT = "019ab3c4-0000-7000-8000-000000000002"
EMPLOYEE = "019ab3c4-0000-7000-8000-000000000003"


def an_entry(**changes: object) -> wire.Entry:
    hired = organization.EmployeeHiredEvent(
        employee_id=EMPLOYEE, employee_number="E0001", hire_date=Date(year=2026, month=1, day=5), department="ENG"
    )
    entry = wire.Entry(
        position=42,
        event_id=EVENT,
        tenant_id=TENANT,
        type=hired.DESCRIPTOR.full_name,
        aggregate_type="employee",
        aggregate_id=EMPLOYEE,
        aggregate_version=3,
        occurred_time=Timestamp(seconds=1_764_324_000, nanos=250_000_000),
        payload=hired.SerializeToString(),
    )
    entry.MergeFrom(wire.Entry(**changes))  # type: ignore[arg-type]
    return entry


def test_an_entry_is_a_cloud_event_in_the_words_of_the_api() -> None:
    event = cloud_event("organization", an_entry())

    assert event == {
        "specversion": "1.0",
        "id": EVENT,
        "source": "/muster/organization",
        "type": "muster.organization.v1.EmployeeHiredEvent",
        "subject": f"employee/{EMPLOYEE}",
        "time": "2025-11-28T10:00:00.250000Z",
        "datacontenttype": "application/json",
        "tenantid": TENANT,
        "sequence": "0000000000000000042",
        "aggregateversion": 3,
        "data": {
            "employee_id": EMPLOYEE,
            "employee_number": "E0001",
            "change_id": None,
            "assignment_id": None,
            "hire_date": "2026-01-05",
            "legal_entity": None,
            "department": "ENG",
            "location": None,
            "work_schedule": None,
            "pay_group": None,
        },
    }
    assert json.loads(json.dumps(event)) == event


def test_the_envelope_follows_the_specification() -> None:
    event = cloud_event("organization", an_entry())
    extensions = set(event) - {
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data",
    }  # fmt: skip

    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event)
    assert extensions == {"tenantid", "sequence", "aggregateversion"}


def test_a_type_of_a_newer_publisher_is_told_without_its_facts() -> None:
    event = cloud_event("organization", an_entry(type="muster.organization.v1.EmployeeClonedEvent"))

    assert event["type"] == "muster.organization.v1.EmployeeClonedEvent"
    assert event["subject"] == f"employee/{EMPLOYEE}"
    assert not {"data", "datacontenttype"} & set(event)


def test_lists_enums_and_instants_are_written_as_the_api_does() -> None:
    chart = organization.OrgChartPublishedEvent(catalog_version=7)
    chart.entries.add(kind=org_chart_pb2.ENTRY_KIND_DEPARTMENT, code="ENG", closed=True)
    punch = attendance.PunchRecordedEvent(punched_at=Timestamp(seconds=1_764_324_000))
    adjusted = attendance.TimesheetAdjustedEvent(work_dates=[Date(year=2026, month=2, day=1)])

    assert facts_of(chart)["entries"] == [{"kind": "DEPARTMENT", "code": "ENG", "effective_date": None, "closed": True}]
    assert facts_of(punch)["punched_at"] == "2025-11-28T10:00:00Z"
    assert facts_of(adjusted)["work_dates"] == ["2026-02-01"]


def test_every_published_message_can_be_told() -> None:
    told = [(service, message.full_name) for service, message in descriptors()]

    assert {service for service, _ in told} == set(PUBLISHED)
    assert "muster.payroll.v1.PayrollRunFinalizedEvent" in event_types("payroll")
    assert len(told) >= 39


def test_the_page_for_consumers_lists_every_type_with_its_facts() -> None:
    page = (Path(__file__).parents[3] / "docs/events.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+Event)` \| [^|]+ \| (.*) \|$", page, re.MULTILINE)
    written = {name: re.findall("`([a-z_]+)`", fields) for name, fields in rows}

    assert written == {message.name: [field.name for field in message.fields] for _, message in descriptors()}
