"""Ten times as much as can be done: what is done stays, what is admitted is answered soon, the important goes first.

The whole edge runs on an event loop with a time of its own, so that what is said here of seconds is true on every
machine and at every hour; one real process under a real flood shows that nothing of it depends on that.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median

import pytest

from tests.application.edge.busy import CONNECTIONS, FloodInside, the_edge
from tests.support.deployment import ROOT, surroundings
from tests.support.flood import Answer, Ask, Flood, good
from tests.support.own_time import in_own_time

OVERLOAD_S = float(os.environ.get("OVERLOAD_S", "20"))
COLLAPSE_S, REAL_S = 4.0, 4.0
SOON_S, PUNCH_S = 0.5, 0.3
LONG_REPORT_S, SHORT_REPORT_S = 0.1, 0.05


def by(company: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {company}"}


REPORT, PUNCH = Ask("report", "/v1/report", by(1)), Ask("punch", "/v1/punch", by(1))


def slowest_of_100(answers: Sequence[Answer], name: str) -> float:
    """The 99th percentile of what was admitted after the first second, in seconds."""
    found = [answer for answer in answers if answer.name == name and answer.at_s >= 1.0]
    seconds = sorted(answer.took_s for answer in found if answer.status not in (429, 503))
    return seconds[-len(seconds) // 100 - 1] if seconds else float("inf")


async def capacity_of(flood: Flood) -> float:
    """Reports per second that are served to callers who wait."""
    return good(await flood.in_turns(REPORT, 2, 2.0), "report") / 2.0


def holds(answers: Sequence[Answer], capacity: float) -> None:
    """Nine tenths of the capacity are served in time, and soon."""
    assert good(answers, "report") >= 0.9 * capacity * max(answer.at_s for answer in answers)
    assert slowest_of_100(answers, "report") <= SOON_S


async def ten_times(mode: str, seconds: float) -> tuple[float, list[Answer], list[Answer]]:
    """The capacity, the answers at ten times of it, and those at nine tenths of it right after."""
    flood = FloodInside(the_edge(mode, LONG_REPORT_S)[0])
    capacity = await capacity_of(flood)
    answers = await flood.steadily([(REPORT, 10 * capacity)], seconds)
    return capacity, answers, await flood.steadily([(REPORT, 0.9 * capacity)], 6.0)


def test_ten_times_the_capacity_leaves_nine_tenths_of_it_and_short_answers() -> None:
    capacity, answers, after = in_own_time(ten_times("guarded", OVERLOAD_S))

    holds(answers, capacity)
    assert sum(answer.status == 503 for answer in answers) > 0.5 * len(answers)
    again = [answer for answer in after if answer.at_s >= 1.5]
    assert good(again, "report") >= 0.95 * len(again)


def test_without_limits_ten_times_the_capacity_would_leave_nothing() -> None:
    capacity, answers, _ = in_own_time(ten_times("unguarded", COLLAPSE_S))

    with pytest.raises(AssertionError):
        holds(answers, capacity)
    assert good([answer for answer in answers if answer.at_s > 1.0], "report") == 0


def punches_come_first(answers: Sequence[Answer]) -> None:
    """No punch of a thousand is lost, and of a hundred none waits."""
    punches = [answer for answer in answers if answer.name == "punch"]
    assert good(punches, "punch") >= 0.999 * len(punches)
    assert slowest_of_100(answers, "punch") <= PUNCH_S
    assert good(answers, "report") > 0


async def five_times(mode: str, seconds: float) -> Sequence[Answer]:
    """Five times as many reports as can be made, and a tenth as many punches."""
    flood = FloodInside(the_edge(mode, SHORT_REPORT_S)[0])
    capacity = await capacity_of(flood)
    return await flood.steadily([(REPORT, 5 * capacity), (PUNCH, 0.5 * capacity)], seconds)


def test_punches_come_before_reports_at_five_times_the_capacity() -> None:
    punches_come_first(in_own_time(five_times("guarded", OVERLOAD_S)))


def test_without_limits_punches_would_wait_behind_reports() -> None:
    answers = in_own_time(five_times("unguarded", COLLAPSE_S))

    with pytest.raises(AssertionError):
        punches_come_first(answers)


def test_where_nobody_says_what_goes_first_punches_would_be_refused_as_reports_are() -> None:
    answers = in_own_time(five_times("level", COLLAPSE_S))

    with pytest.raises(AssertionError):
        punches_come_first(answers)
    assert any(answer.status == 503 for answer in answers if answer.name == "punch")


async def beside_a_flood(mode: str) -> Sequence[Answer]:
    """One company asks for ten times what can be done, another for a little."""
    other = Ask("other", REPORT.path, by(2))
    flood = FloodInside(the_edge(mode, LONG_REPORT_S)[0])
    capacity = await capacity_of(flood)
    return await flood.steadily([(REPORT, 10 * capacity), (other, 0.1 * capacity)], OVERLOAD_S)


def statuses_of_the_other(answers: Sequence[Answer]) -> list[int]:
    """What the company that asks for a little is answered."""
    return [answer.status for answer in answers if answer.name == "other"]


def all_are_served(answers: Sequence[Answer]) -> None:
    """The company that asks for a little notices nothing."""
    assert set(statuses_of_the_other(answers)) == {200}


def test_a_company_that_floods_takes_nothing_from_another() -> None:
    all_are_served(in_own_time(beside_a_flood("guarded")))


def test_where_companies_are_not_told_apart_a_flood_would_keep_another_out() -> None:
    answers = in_own_time(beside_a_flood("blind"))

    with pytest.raises(AssertionError):
        all_are_served(answers)


@asynccontextmanager
async def server(mode: str) -> AsyncIterator[Flood]:
    """The same edge as a process, and a load on it."""
    command = [sys.executable, "-m", "tests.application.edge.busy", mode, str(LONG_REPORT_S)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=surroundings(), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    flood = Flood(f"http://{(await process.stdout.readline()).decode().strip()}")
    yield flood
    flood.close()
    process.kill()
    await process.wait()


async def flooded(mode: str) -> list[Answer]:
    """Answers of a real process to ten times of what its connections can do, after the first second."""
    async with server(mode) as flood:
        answers = await flood.steadily([(REPORT, 10 * CONNECTIONS / LONG_REPORT_S)], REAL_S)
    return [answer for answer in answers if answer.at_s > 1.0]


@pytest.mark.second_process
async def test_a_process_goes_on_serving_where_one_without_limits_would_serve_nobody_any_more() -> None:
    guarded, unguarded = await flooded("guarded"), await flooded("unguarded")

    # A machine with other work serves less and later; it is the same machine for both, and for both sorts of answers.
    served = [answer.took_s for answer in guarded if answer.status == 200]
    refused = [answer.took_s for answer in guarded if answer.status == 503]
    assert good(guarded, "report") > 10 * good(unguarded, "report")
    assert good(guarded, "report") > len(served) / 2
    assert len(refused) > len(guarded) / 2
    assert median(refused) < median(served) / 2
