"""The cursor over all feeds: one text for one place, read by every version that comes after."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.events.cursor import LONGEST, Cursor
from kernel.errors import InvalidValue

services = st.from_regex(r"[a-z][a-z0-9_-]{0,14}", fullmatch=True)


@given(st.dictionaries(services, st.integers(0, 2**63 - 1), max_size=12))
def test_a_cursor_is_read_back_as_it_was_written(positions: dict[str, int]) -> None:
    text = str(Cursor(positions))

    again = Cursor.parse(text)

    assert {service: again.at(service) for service in positions} == positions
    assert str(again) == text
    assert len(text) <= LONGEST


def test_a_service_that_came_later_is_read_from_its_beginning() -> None:
    written_before = str(Cursor({"identity": 7}))

    cursor = Cursor.parse(written_before).moved("identity", 8)

    assert (cursor.at("identity"), cursor.at("delivery")) == (8, 0)


def test_the_beginning_is_empty_and_equal_places_have_equal_texts() -> None:
    assert str(Cursor()) == str(Cursor({"payroll": 0})) == ""
    assert str(Cursor({"a": 1, "b": 2})) == str(Cursor({"b": 2}).moved("a", 1))


def test_the_form_that_clients_keep_stays_readable() -> None:
    assert Cursor.parse("WzEseyJpZGVudGl0eSI6MywicGF5cm9sbCI6NDJ9XQ").positions == {"identity": 3, "payroll": 42}


@pytest.mark.parametrize(
    "text",
    [
        "x", "????", "WzIse31d", "W10", "MQ", "bnVsbA",
        "WzEseyJhIjotMX1d", "WzEseyJhIjoxLjV9XQ", "WzEseyJhIjp0cnVlfV0", "WzEseyJBIjoxfV0", "WzEsWzFdXQ",
        "A" * 1001, "WzEseyJhIjo5MjIzMzcyMDM2ODU0Nzc1ODA4fV0",
    ],
)  # fmt: skip
def test_what_no_answer_gave_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        Cursor.parse(text)
