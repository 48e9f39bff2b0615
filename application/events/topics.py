"""Who hears of which published event: topics, each with the access action that opens it, and where an event goes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from google.protobuf.message import DecodeError

from application.access import TENANT, Allow, Resource, decide
from application.edge.refusal import Forbidden, Refusal
from chassis.bus.consumer import event_of
from chassis.bus.port import Entry
from chassis.principal import Principal

Key = tuple[str, ...]
"""A tenant's topic, or the part of it that concerns one person: (tenant id, topic) or (tenant id, topic, person)."""

EVERYTHING = "tenant"
OWN = "me"
PAYROLL = "payroll"
STREAM = "stream.read"

# To hear a topic one must be allowed this for everybody in the tenant.
TOPICS: Mapping[str, str] = MappingProxyType(
    {
        EVERYTHING: "event.read",
        "employees": "employee.list",
        "org_chart": "org_chart.read",
        "time": "timesheet.list",
        "schedules": "schedule.read",
        PAYROLL: "payroll_run.read",
        "accounts": "account.read",
        OWN: STREAM,
    }
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What becomes of the events of one kind of aggregate.

    Invariants: `person_field` names the field of its events that says whom they concern, "" where no person may hear
    of their own; that person must be allowed `own_action` for themselves.
    """

    topic: str
    person_field: str = ""
    own_action: str = ""


ACCOUNT = Kind("accounts", "account_id", "me.read")
# A kind of aggregate that is not named here is heard by those who may hear everything.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "employee": Kind("employees", "employee_id", "employee.read"),
        "org_chart": Kind("org_chart"),
        "timesheet": Kind("time", "employee_id", "timesheet.read"),
        "time_catalog": Kind("schedules"),
        "payroll_run": Kind(PAYROLL),
        "pay_input": Kind(PAYROLL),
        "payroll_catalog": Kind(PAYROLL),
        "account": ACCOUNT,
    }
)


class TopicUnknown(Refusal):
    """A topic that is none; those of other tenants have no name at all."""

    status, reason = 422, "TOPIC_UNKNOWN"


class TooManyStreams(Refusal):
    """More open streams than one company or one caller may have."""

    status, reason = 429, "TOO_MANY_STREAMS"


def topics_of(principal: Principal) -> frozenset[str]:
    """Every topic that the principal may hear."""
    return frozenset(topic for topic, action in TOPICS.items() if isinstance(decide(principal, action, TENANT), Allow))


def keys_of(principal: Principal, asked: Collection[str] = ()) -> tuple[Key, ...]:
    """The keys under which the principal hears what it asked for, or all that it may where it asked for nothing.

    Raises TopicUnknown, and Forbidden for a topic that its roles do not open.
    """
    wanted = frozenset(asked)
    if not wanted <= TOPICS.keys():
        raise TopicUnknown(f"write some of {', '.join(TOPICS)}", field="topics")
    allowed = topics_of(principal)
    if not wanted <= allowed:
        raise Forbidden("your roles do not open this topic; leave it out, or ask somebody who may")
    wanted = wanted or allowed
    tenant = str(principal.tenant_id)
    keys: set[Key] = {(tenant, topic) for topic in wanted if topic != OWN}
    if EVERYTHING in wanted:
        keys = {(tenant, EVERYTHING)}
    elif OWN in wanted:
        keys |= _own_keys(principal, tenant)
    if PAYROLL in wanted:
        keys.add(progress_key(tenant))
    return tuple(sorted(keys))


def progress_key(tenant: str) -> Key:
    """The key of what is told of a run while it is calculated; it is no published event."""
    return (tenant, PAYROLL, "progress")


def account_key(tenant: str, account_id: str) -> Key:
    """The key of what concerns one account."""
    return (tenant, ACCOUNT.topic, account_id)


def _own_keys(principal: Principal, tenant: str) -> set[Key]:
    keys: set[Key] = set()
    oneself = Resource(employee_id=principal.employee_id)
    for kind in KINDS.values():
        person = {"employee_id": principal.employee_id, "account_id": principal.subject}.get(kind.person_field)
        if person is not None and isinstance(decide(principal, kind.own_action, oneself), Allow):
            keys.add((tenant, kind.topic, str(person)))
    return keys


def keys_of_event(entry: Entry) -> tuple[Key, ...]:
    """The keys under which an event is heard."""
    tenant = entry.tenant_id
    kind = KINDS.get(entry.aggregate_type)
    if kind is None:
        return ((tenant, EVERYTHING),)
    keys: tuple[Key, ...] = ((tenant, EVERYTHING), (tenant, kind.topic))
    if kind.person_field:
        person = _person(entry, kind.person_field)
        if person:
            keys += ((tenant, kind.topic, person),)
    return keys


def _person(entry: Entry, field: str) -> str:
    if field == f"{entry.aggregate_type}_id":
        return entry.aggregate_id
    try:
        event: Any = event_of(entry)
    except (KeyError, DecodeError):  # a newer publisher's: nobody's own until this program knows it
        return ""
    return str(getattr(event, field, ""))
