"""Which calls may be sent twice, or again."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import muster
from google.protobuf.descriptor import MethodDescriptor

from application.edge.hedged import HEDGED

READS = ("Get", "List", "BatchGet", "Find")

# Neither a read nor told apart by a request_id, and yet no harm when it is done twice.
HARMLESS = {
    "AccountService/SignIn": "one more session, which nobody is told of and which expires",
    "AccountService/IssueToken": "one more token, which nobody is told of and which expires",
    "AccountService/RefreshSession": "the assertion's request id says that it is the same use of the token",
    "EventFeedService/Read": "the same worker extends its lease and reads the same entries",
    "EventFeedService/Ack": "an older position is success and no change",
    "EventFeedService/Release": "success where no lease is held",
    "EventFeedService/Park": "the same event again updates its row",
    "EventFeedService/Resolve": "an event that is not parked is success",
    "JobService/Retry": "a run that waits, runs or is done is success and no change",
    "JobService/RetryWork": "work that waits, runs or is done is success and no change",
    "JobService/Start": "the same instant again is success and no change",
    "PayrollRunService/SubmitChunk": "the same chunk has the stored answer, by its hash",
    "PayrollRunService/SubmitReversalChunk": "the same chunk has the stored answer, by its hash",
    "PayrollRunService/ReplayPayslip": "computes and changes nothing",
}


def methods() -> Iterator[MethodDescriptor]:
    root = Path(next(iter(muster.__path__)))
    for path in sorted(root.rglob("*_pb2.py")):
        name = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        for service in importlib.import_module(name).DESCRIPTOR.services_by_name.values():
            yield from service.methods


def changes(method: MethodDescriptor) -> bool:
    """Whether the method does more than read."""
    return not method.name.startswith(READS) or "request_id" in method.input_type.fields_by_name


def full_name(method: MethodDescriptor) -> str:
    return f"{method.containing_service.full_name}/{method.name}"


def writes_among(names: frozenset[str]) -> list[str]:
    """Those that are no read of ours."""
    reads = {full_name(method) for method in methods() if not changes(method)}
    return sorted(names - reads)


def test_only_reads_are_sent_twice() -> None:
    assert writes_among(HEDGED) == []


def test_a_write_that_would_be_sent_twice_is_caught() -> None:
    planted = "muster.organization.v1.EmployeeService/HireEmployee"

    assert writes_among(HEDGED | {planted}) == [planted]


def test_every_call_may_be_tried_again() -> None:
    told_apart_by_nothing = {
        f"{method.containing_service.name}/{method.name}"
        for method in methods()
        if changes(method) and "request_id" not in method.input_type.fields_by_name
    }

    assert told_apart_by_nothing - HARMLESS.keys() == set()
