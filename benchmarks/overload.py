"""Ten times as many lists of people as can be served: what is still served in time, how soon, and what comes after."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from benchmarks.company import Company
from benchmarks.figure import Figure, at_least, at_most, percentile
from tests.support.deployment import Deployment, EmbeddedDeployment, private_distributed
from tests.support.flood import Answer, Ask, Flood, good

EMPLOYEES, PAGE = 1000, 100
CALLERS, ROUNDS, CAPACITY_S, OVERLOAD_S = 8, 3, 10.0, 60.0
TURNS, TURN_S = 10, 1.0  # of each deployment after the load
TIMES, MOST_PER_SECOND = 10, 500.0  # more would measure the load, not the server
GOODPUT, BACK, SOON_MS, TIMES_UNLOADED, RECOVERED_AFTER_S = 0.9, 0.95, 500.0, 3.0, 5.0


@dataclass(frozen=True)
class Round:
    """Lists served in time per second and their 99th percentiles in ms: before, during and after one load.

    `usual`: what a twin that was not loaded served meanwhile, asked in turns with the one that was.
    """

    before: float
    during: float
    back: float
    usual: float
    unloaded_ms: float
    admitted_ms: float

    @property
    def capacity(self) -> float:
        """On both sides of the load: a shared machine is not as fast in one minute as in the next."""
        return (self.before + self.usual) / 2


@dataclass(frozen=True)
class Lists:
    """Lists of people, asked of one deployment."""

    flood: Flood
    ask: Ask

    async def in_turns(self, seconds: float, callers: int = CALLERS) -> Sequence[Answer]:
        """The answers to so many callers, each asking again once it was answered."""
        return await self.flood.in_turns(self.ask, callers, seconds)

    def good(self, answers: Sequence[Answer]) -> int:
        """How many were served in time."""
        return good(answers, self.ask.name)


async def overload(*, small: bool = False) -> AsyncIterator[Figure]:
    """Goodput, the 99th percentile of what was admitted, and goodput after it, embedded and distributed."""
    with EmbeddedDeployment() as embedded, EmbeddedDeployment() as twin:
        async for figure in _measured(embedded, twin, small):
            yield figure
    if not small:
        with private_distributed() as distributed, private_distributed() as twin_distributed:
            async for figure in _measured(distributed, twin_distributed, small):
                yield figure


async def _measured(deployment: Deployment, twin: Deployment, small: bool) -> AsyncIterator[Figure]:
    lists, others = await _lists_of(deployment, small), await _lists_of(twin, small)
    rounds = [await _round(lists, others, small) for _ in range(1 if small else ROUNDS)]
    for one in (lists, others):
        one.flood.close()
    form = deployment.name
    capacity, during = fmean(one.capacity for one in rounds), fmean(one.during for one in rounds)
    unloaded_ms, admitted_ms = median(one.unloaded_ms for one in rounds), median(one.admitted_ms for one in rounds)
    yield at_least(f"lists in time at 10x capacity, {form}", during, "requests/s", floor=capacity, ratio=GOODPUT)
    name = f"p99 of lists admitted at 10x capacity, {form}"
    yield at_most(name, admitted_ms, "ms", floor=unloaded_ms, most=max(SOON_MS, TIMES_UNLOADED * unloaded_ms))
    usual, back = fmean(one.usual for one in rounds), fmean(one.back for one in rounds)
    yield at_least(f"lists in time 5 s after, {form}", back, "requests/s", floor=usual, ratio=BACK)


async def _lists_of(deployment: Deployment, small: bool) -> Lists:
    async with Company(deployment) as company:
        await company.publish()
        await company.hire(200 if small else EMPLOYEES)
        token = await company.token("hr_admin")
    ask = Ask("list", f"/v1/employees?limit={PAGE}", {"Authorization": f"Bearer {token}"})
    return Lists(Flood(deployment.base_url), ask)


async def _round(lists: Lists, others: Lists, small: bool) -> Round:
    """One load of a minute, with the callers of the capacity on both sides of it, and of a twin after it."""
    capacity_s, overload_s, turns = (1.0, 2.0, 2) if small else (CAPACITY_S, OVERLOAD_S, TURNS)
    unloaded = await lists.in_turns(capacity_s, callers=1)
    before = lists.good(await lists.in_turns(capacity_s)) / capacity_s
    rate = min(TIMES * before, MOST_PER_SECOND)
    during = await lists.flood.steadily([(lists.ask, rate)], overload_s)
    await lists.in_turns(RECOVERED_AFTER_S)
    back = usual = 0
    for _ in range(turns):
        back += lists.good(await lists.in_turns(TURN_S))
        usual += others.good(await others.in_turns(TURN_S))
    return Round(
        before=before,
        during=lists.good(during) / overload_s,
        back=back / (turns * TURN_S),
        usual=usual / (turns * TURN_S),
        unloaded_ms=_p99_ms(unloaded),
        admitted_ms=_p99_ms(during),
    )


def _p99_ms(answers: Sequence[Answer]) -> float:
    seconds = sorted(answer.took_s for answer in answers if answer.status not in (429, 503))
    return percentile(seconds, 0.99) * 1000
