"""Punches of a batch: what is read at once is what the full description accepts, and makes the same message."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.attendance.v1 import timesheet_pb2
from pydantic import TypeAdapter, ValidationError

from application.edge.wire import json_instant
from application.time import codec, schemas, usual_punches
from application.time.usual_punches import usual_punch

BATCH: TypeAdapter[schemas.PunchBatchBody] = TypeAdapter(schemas.PunchBatchBody)
VIEW: TypeAdapter[schemas.PunchView] = TypeAdapter(schemas.PunchView)

IDS = [
    "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071",
    "019AB3C4-5D6E-7F80-9A1B-2C3D4E5F6071",
    "019ab3c45d6e7f809a1b2c3d4e5f6071",
]
INSTANTS = [
    "2026-11-23T09:00:00+08:00", "2026-11-23t01:00:00z", "2026-11-23T01:00:00.123456Z", "2026-11-23T01:00:00.1-03:30",
    "2026-11-23T09:00:00", "2026-02-30T09:00:00Z", "1899-12-31T23:59:59Z", "1900-01-01T00:00:00Z",
    "1900-01-01T00:00:00+00:01",
    "2199-12-31T23:59:59.999999Z", "2200-01-01T00:00:00Z", "2200-01-01T00:00:00+00:01", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00", "2026-11-23 09:00:00Z", "2026-11-23T24:00:00Z", "1969-12-31T23:59:59.5Z",
]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "punch_id": [*IDS, "", None, 7],
    "employee_id": [*IDS, "", None, 7],
    "employee_number": ["E0001", "", None],
    "badge_number": ["B-1", None],
    "punched_at": [*INSTANTS, None, 1774224000, ""],
    "time_zone": ["Asia/Shanghai", None, ""],
    "direction": ["IN", "OUT", "EITHER", "in", "", None, 1],
    "source": ["WEB", "MOBILE", "DEVICE", "IMPORT", "UNSPECIFIED", "web", None, 1],
    "device_id": ["GATE-1", "", " ", "g" * 64, "g" * 65, "Tür", None, 1],
    "device_sequence": [1, 0, None, "1"],
    "device_clock": ["2026-11-23T09:00:00+08:00", None],
    "device_sent_at": ["2026-11-23T09:00:00+08:00", None],
    "colour": ["red", None],
}
USUAL = {"punch_id": IDS[0], "employee_id": IDS[0], "punched_at": INSTANTS[0], "source": "DEVICE"}

anything = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})
nearly_usual = st.builds(
    lambda changes, without: {name: value for name, value in {**USUAL, **changes}.items() if name not in without},
    st.dictionaries(st.sampled_from(list(VALUES)), st.none(), max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({name: st.sampled_from(VALUES[name]) for name in names})
    ),
    st.sets(st.sampled_from(list(USUAL)), max_size=1),
)

Read = Callable[[Any], timesheet_pb2.Punch | None]


def told_alike(value: Any, read: Read) -> bool:
    """Whether what `read` makes of a value is what the full description makes of it; what it leaves is told alike."""
    at_once = read(value)
    if at_once is None:
        return True
    try:
        return codec.to_punch(schemas.PunchBody.model_validate(value)) == at_once
    except ValidationError:
        return False


@settings(max_examples=500, deadline=None)
@given(anything | nearly_usual | st.none() | st.text() | st.lists(st.integers(), max_size=2))
def test_what_is_read_at_once_is_what_the_full_description_makes_of_it(value: Any) -> None:
    assert told_alike(value, usual_punch)


@pytest.mark.parametrize(
    "usual",
    [
        USUAL,
        {**USUAL, "direction": "IN"},
        {**USUAL, "direction": None},
        {**USUAL, "direction": "OUT", "device_id": "GATE-1"},
        *({**USUAL, "punched_at": at} for at in INSTANTS[:4]),
    ],
)
def test_the_usual_form_needs_no_more(usual: dict[str, Any]) -> None:
    [punch] = BATCH.validate_python({"punches": [usual]}).punches

    assert isinstance(punch, timesheet_pb2.Punch)
    assert punch == codec.to_punch(schemas.PunchBody.model_validate(usual))


def careless(value: Any) -> timesheet_pb2.Punch | None:
    """The planted bug: fields that it does not know are overlooked."""
    known = ("punch_id", "employee_id", "punched_at", "source", "direction", "device_id")
    return usual_punch({name: value[name] for name in known if name in value})


@pytest.mark.parametrize("unknown", [{"colour": "red"}, {"badge_number": "B-1"}, {"device_sent_at": INSTANTS[0]}])
def test_a_field_that_is_overlooked_would_be_seen(unknown: dict[str, Any]) -> None:
    assert told_alike({**USUAL, **unknown}, usual_punch)
    assert not told_alike({**USUAL, **unknown}, careless)


def test_text_that_is_no_id_is_not_remembered() -> None:
    before = usual_punches._lower_id.cache_info().currsize

    assert usual_punch({**USUAL, "employee_id": "x" * 100_000}) is None
    assert usual_punches._lower_id.cache_info().currsize == before


def test_what_is_wrong_in_a_batch_is_said_with_its_place_and_nothing_else() -> None:
    wrong = {**USUAL, "punch_id": "x", "colour": "red"}

    with pytest.raises(ValidationError) as refused:
        BATCH.validate_python({"punches": [USUAL, wrong, USUAL]})

    assert {error["loc"] for error in refused.value.errors()} == {("punches", 1, "punch_id"), ("punches", 1, "colour")}


FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, tzinfo=UTC)
instants = st.timedeltas(timedelta(), LAST - FIRST).map(lambda since: FIRST + since)


@settings(max_examples=300, deadline=None)
@given(
    instants, st.integers(0, 4), st.none() | st.integers(-(10**9), 10**9), st.sampled_from(["", "TIMESHEET_NOT_OPEN"])
)
def test_an_answer_of_a_batch_says_what_a_model_of_it_would(
    at: datetime, outcome: int, skew: int | None, reason: str
) -> None:
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    result = timesheet_pb2.PunchResult(
        punch_id=str(uuid4()),
        outcome=outcome,  # type: ignore[arg-type]
        employee_id=str(uuid4()) if skew else "",
        timesheet_id=str(uuid4()),
        work_date=Date(year=at.year, month=at.month, day=at.day) if skew else None,
        duplicate_of=str(uuid4()) if reason else "",
        punched_at=Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000),
        clock_skew_seconds=skew,
        reason=reason,
        message="do this" if reason else "",
    )

    assert orjson.dumps(codec.punch_json(result)) == VIEW.dump_json(codec.punch_view(result), warnings="none")


@settings(max_examples=300, deadline=None)
@given(instants | instants.map(lambda at: at.replace(microsecond=0)))
def test_an_instant_is_written_as_the_standard_library_writes_it(at: datetime) -> None:
    since = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    seconds, micros = divmod(since, 1_000_000)

    written = json_instant(Timestamp(seconds=seconds, nanos=micros * 1000))

    assert written == (at.isoformat().replace("+00:00", "Z") if since else None)
