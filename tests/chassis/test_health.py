"""Readiness asks its checks seldom, briefly, and never fails itself."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from chassis.health import NotReady, Readiness, clock_check


async def test_a_process_without_checks_is_ready() -> None:
    assert (await Readiness().report()).ready


async def test_what_fails_is_told_by_name() -> None:
    readiness = Readiness()

    async def fine() -> None:
        pass

    async def away() -> None:
        raise NotReady("the database does not answer")

    async def broken() -> None:
        raise KeyError("secret")

    for name, check in (("fine", fine), ("away", away), ("broken", broken)):
        readiness.add(name, check)

    report = await readiness.report()
    assert not report.ready
    assert report.findings == {"fine": "", "away": "the database does not answer", "broken": "failed (KeyError)"}


async def test_a_check_that_hangs_is_given_up_after_a_second() -> None:
    readiness = Readiness()
    readiness.add("hangs", asyncio.Event().wait)  # type: ignore[arg-type]
    started = asyncio.get_running_loop().time()

    report = await readiness.report()

    assert report.findings == {"hangs": "no answer within 1 s"}
    assert asyncio.get_running_loop().time() - started < 1.5


async def test_many_questions_cost_one_check() -> None:
    readiness, asked = Readiness(), 0

    async def check() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)

    readiness.add("counted", check, every_s=60.0)

    await asyncio.gather(*(readiness.report() for _ in range(100)))
    await readiness.report()

    assert asked == 1


class AClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(("off_s", "ready"), [(0.0, True), (0.9, True), (-0.9, True), (1.5, False), (-30.0, False)])
async def test_a_clock_more_than_a_second_off_is_not_ready(off_s: float, ready: bool) -> None:
    async def theirs() -> datetime:
        return AClock().now() + timedelta(seconds=off_s)

    readiness = Readiness()
    readiness.add("clock", clock_check(AClock(), theirs))

    report = await readiness.report()
    assert report.ready is ready
    assert ready or "NTP" in report.findings["clock"]
