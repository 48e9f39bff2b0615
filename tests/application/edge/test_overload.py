"""Ten times as much as can be done: what is done stays, what is admitted is answered soon, the important goes first."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.support.deployment import ROOT, surroundings
from tests.support.flood import Answer, Ask, Flood, good

OVERLOAD_S = float(os.environ.get("OVERLOAD_S", "4"))
COLLAPSE_S = 3.0
SOON_S, PUNCH_S = 0.5, 0.3
QUIET_S, TRIES = 0.05, 3
LONG_REPORT_S, SHORT_REPORT_S = 0.1, 0.05
pytestmark = pytest.mark.second_process


def by(company: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {company}"}


REPORT, PUNCH = Ask("report", "/v1/report", by(1)), Ask("punch", "/v1/punch", by(1))
BEAT = (Ask("beat", "/v1/beat", by(3)), 20.0)  # needs nothing: what it takes is the machine's own


@asynccontextmanager
async def server(mode: str, report_s: float) -> AsyncIterator[Flood]:
    """The busy application as a process, and a load on it."""
    command = [sys.executable, "-m", "tests.application.edge.busy", mode, str(report_s)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=surroundings(), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    flood = Flood(f"http://{(await process.stdout.readline()).decode().strip()}")
    yield flood
    flood.close()
    process.kill()
    await process.wait()


def slowest_of_100(answers: Sequence[Answer], name: str) -> float:
    """The 99th percentile of what was admitted after the first second, in seconds."""
    found = [answer for answer in answers if answer.name == name and answer.at_s >= 1.0]
    seconds = sorted(answer.took_s for answer in found if answer.status not in (429, 503))
    return seconds[-len(seconds) // 100 - 1] if seconds else float("inf")


async def capacity_of(flood: Flood) -> float:
    """Reports per second that are served to callers who wait."""
    return good(await flood.in_turns(REPORT, 2, 1.5), "report") / 1.5


def noise_s(answers: Sequence[Answer]) -> float:
    """What this machine takes at worst for nothing."""
    return max(answer.took_s for answer in answers if answer.name == "beat")


def holds(answers: Sequence[Answer], capacity: float) -> None:
    """Nine tenths of the capacity are served in time, and soon."""
    assert good(answers, "report") >= 0.9 * capacity * max(answer.at_s for answer in answers)
    assert slowest_of_100(answers, "report") <= SOON_S


async def shown(measure: Callable[[], Awaitable[Sequence[Answer]]], check: Callable[[Sequence[Answer]], None]) -> None:
    """The check holds. A machine that stands still itself spoils a measurement, which is then taken again."""
    for _ in range(TRIES):
        answers = await measure()
        try:
            check(answers)
        except AssertionError:
            if noise_s(answers) < QUIET_S:
                raise
        else:
            return
    pytest.skip("this machine stood still again and again: nothing can be said about answers in time")


async def test_ten_times_the_capacity_leaves_nine_tenths_of_it_and_short_answers() -> None:
    capacity, after = 0.0, list[Answer]()

    async def measure() -> Sequence[Answer]:
        nonlocal capacity, after
        async with server("guarded", LONG_REPORT_S) as flood:
            capacity = await capacity_of(flood)
            answers = await flood.steadily([(REPORT, 10 * capacity), BEAT], OVERLOAD_S)
            after = await flood.steadily([(REPORT, 0.9 * capacity)], 3.0)
        return answers

    def check(answers: Sequence[Answer]) -> None:
        holds(answers, capacity)
        refused = [answer.took_s for answer in answers if answer.status == 503]
        assert len(refused) > 0.5 * len(answers)
        assert sorted(refused)[len(refused) // 2] < 0.05
        again = [answer for answer in after if answer.at_s >= 1.5]
        assert good(again, "report") >= 0.95 * len(again)

    await shown(measure, check)


async def test_without_limits_ten_times_the_capacity_would_leave_nothing() -> None:
    async with server("unguarded", LONG_REPORT_S) as flood:
        capacity = await capacity_of(flood)
        answers = await flood.steadily([(REPORT, 10 * capacity), BEAT], COLLAPSE_S)

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
    async with server(mode, SHORT_REPORT_S) as flood:
        capacity = await capacity_of(flood)
        return await flood.steadily([(REPORT, 5 * capacity), (PUNCH, 0.5 * capacity), BEAT], seconds)


async def test_punches_come_before_reports_at_five_times_the_capacity() -> None:
    await shown(lambda: five_times("guarded", OVERLOAD_S), punches_come_first)


async def test_without_limits_punches_would_wait_behind_reports() -> None:
    answers = await five_times("unguarded", COLLAPSE_S)

    with pytest.raises(AssertionError):
        punches_come_first(answers)


async def beside_a_flood(mode: str) -> Sequence[Answer]:
    """One company asks for ten times what can be done, another for a little."""
    other = Ask("other", REPORT.path, by(2))
    async with server(mode, LONG_REPORT_S) as flood:
        capacity = await capacity_of(flood)
        return await flood.steadily([(REPORT, 10 * capacity), (other, 0.1 * capacity), BEAT], OVERLOAD_S)


def statuses_of_the_other(answers: Sequence[Answer]) -> list[int]:
    """What the company that asks for a little is answered."""
    return [answer.status for answer in answers if answer.name == "other"]


def all_are_served(answers: Sequence[Answer]) -> None:
    """The company that asks for a little notices nothing."""
    assert set(statuses_of_the_other(answers)) == {200}


async def test_a_company_that_floods_takes_nothing_from_another() -> None:
    await shown(lambda: beside_a_flood("guarded"), all_are_served)


async def test_where_companies_are_not_told_apart_a_flood_would_keep_another_out() -> None:
    with pytest.raises(AssertionError):
        all_are_served(await beside_a_flood("blind"))
