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
TIMES, MOST_PER_SECOND = 10, 500.0  # more would measure the load, not the server
GOODPUT, BACK, SOON_MS, TIMES_UNLOADED, RECOVERED_AFTER_S = 0.9, 0.95, 500.0, 3.0, 5.0


@dataclass(frozen=True)
class Round:
    """Lists served in time per second and their 99th percentiles in ms: before, during and after the load."""

    before: float
    during: float
    back: float
    after: float
    unloaded_ms: float
    admitted_ms: float

    @property
    def capacity(self) -> float:
        """On both sides of the load: a shared machine is not as fast in one minute as in the next."""
        return (self.before + self.after) / 2


async def overload(*, small: bool = False) -> AsyncIterator[Figure]:
    """Goodput, the 99th percentile of what was admitted, and goodput after it, embedded and distributed."""
    with EmbeddedDeployment() as embedded:
        async for figure in _measured(embedded, small):
            yield figure
    if not small:
        with private_distributed() as distributed:
            async for figure in _measured(distributed, small):
                yield figure


async def _measured(deployment: Deployment, small: bool) -> AsyncIterator[Figure]:
    async with Company(deployment) as company:
        await company.publish()
        await company.hire(200 if small else EMPLOYEES)
        token = await company.token("hr_admin")
    ask = Ask("list", f"/v1/employees?limit={PAGE}", {"Authorization": f"Bearer {token}"})
    flood = Flood(deployment.base_url)
    rounds = [await _round(flood, ask, small) for _ in range(1 if small else ROUNDS)]
    flood.close()
    form = deployment.name
    capacity = fmean(one.capacity for one in rounds)
    during, back = fmean(one.during for one in rounds), fmean(one.back for one in rounds)
    unloaded_ms, admitted_ms = median(one.unloaded_ms for one in rounds), median(one.admitted_ms for one in rounds)
    yield at_least(f"lists in time at 10x capacity, {form}", during, "requests/s", floor=capacity, ratio=GOODPUT)
    name = f"p99 of lists admitted at 10x capacity, {form}"
    yield at_most(name, admitted_ms, "ms", floor=unloaded_ms, most=max(SOON_MS, TIMES_UNLOADED * unloaded_ms))
    yield at_least(f"lists in time 5 s after, {form}", back, "requests/s", floor=capacity, ratio=BACK)


async def _round(flood: Flood, ask: Ask, small: bool) -> Round:
    """One load of a minute, with the callers in turns of the capacity on both sides of it."""
    capacity_s, overload_s = (1.0, 2.0) if small else (CAPACITY_S, OVERLOAD_S)
    unloaded = await flood.in_turns(ask, 1, capacity_s)
    before = good(await flood.in_turns(ask, CALLERS, capacity_s), ask.name) / capacity_s
    during = await flood.steadily([(ask, min(TIMES * before, MOST_PER_SECOND))], overload_s)
    since = await flood.in_turns(ask, CALLERS, RECOVERED_AFTER_S + 2 * capacity_s)
    back = [one for one in since if RECOVERED_AFTER_S <= one.at_s < RECOVERED_AFTER_S + capacity_s]
    after = [one for one in since if one.at_s >= RECOVERED_AFTER_S + capacity_s]
    return Round(
        before=before,
        during=good(during, ask.name) / overload_s,
        back=good(back, ask.name) / capacity_s,
        after=good(after, ask.name) / capacity_s,
        unloaded_ms=_p99_ms(unloaded),
        admitted_ms=_p99_ms(during),
    )


def _p99_ms(answers: Sequence[Answer]) -> float:
    seconds = sorted(answer.took_s for answer in answers if answer.status not in (429, 503))
    return percentile(seconds, 0.99) * 1000
