"""Punches of a batch in the form that nearly all have, read at once; every other one is left to its full description.

A batch holds hundreds of punches: this reads one in a tenth of the time that a model of it takes. It accepts nothing
that `PunchBody` refuses, and makes the same message of it; what it does not know it does not judge.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from muster.attendance.v1 import timesheet_pb2

from application.edge.fields import FIRST_YEAR, INSTANT, LAST_YEAR, UUID_TEXT
from application.edge.wire import names_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
_END_S = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
_DIRECTIONS = {name: number for number, name in names_of(timesheet_pb2.PunchDirection, "PUNCH_DIRECTION_").items()}
_SOURCES = {name: number for number, name in names_of(timesheet_pb2.PunchSource, "PUNCH_SOURCE_").items()}
UUID_LENGTH = 36
_DEVICE = re.compile("[!-~]{1,64}")


def usual_punch(value: Any) -> timesheet_pb2.Punch | None:
    """The punch for the wire, None for one that is written another way or is wrong.

    The usual form: an employee_id, punched_at and source, and maybe a direction and a device_id.
    """
    if type(value) is not dict:
        return None
    punch_id, employee_id = value.get("punch_id"), value.get("employee_id")
    at, source = value.get("punched_at"), value.get("source")
    if not (type(punch_id) is type(employee_id) is type(at) is type(source) is str):
        return None
    known, way, device = 4, value.get("direction"), value.get("device_id")
    if way is not None or "direction" in value:
        known += 1
    if device is not None:
        known += 1
        if type(device) is not str or not _DEVICE.fullmatch(device):
            return None
    number = _SOURCES.get(source)
    direction = (_DIRECTIONS.get(way) if type(way) is str else None) if way is not None else 0
    if len(value) != known or number is None or direction is None:
        return None
    employee = _lower_id(employee_id) if len(employee_id) == UUID_LENGTH else None  # no longer text is remembered
    if employee is None or not (UUID_TEXT.fullmatch(punch_id) and INSTANT.fullmatch(at)):
        return None
    try:
        since = datetime.fromisoformat(at.upper()) - _EPOCH
    except (ValueError, OverflowError):
        return None
    seconds = since.days * 86_400 + since.seconds
    if not _FIRST_S <= seconds < _END_S:
        return None
    punch = timesheet_pb2.Punch()  # set field by field: twice as fast as by its constructor
    punch.punch_id, punch.employee_id = punch_id.lower(), employee
    punch.punched_at.seconds = seconds
    if since.microseconds:
        punch.punched_at.nanos = since.microseconds * 1000
    punch.direction, punch.source = direction, number  # type: ignore[assignment]
    if device is not None:
        punch.device_id = device
    return punch


@lru_cache(maxsize=4096)
def _lower_id(text: str) -> str | None:
    """An id in lower case, None for what is none: many punches of few people come together."""
    return text.lower() if UUID_TEXT.fullmatch(text) else None
