"""Ten times as many lists of people as can be served: what is still served in time, how soon, and what comes after."""

from collections.abc import AsyncIterator, Sequence

from benchmarks.company import Company
from benchmarks.figure import Figure, at_least, at_most, percentile
from tests.support.deployment import Deployment, EmbeddedDeployment, private_distributed
from tests.support.flood import Answer, Ask, Flood, good

EMPLOYEES, PAGE = 1000, 100
CALLERS, CAPACITY_S, OVERLOAD_S, AFTER_S = 8, 5.0, 60.0, 10.0
TIMES, MOST_PER_SECOND = 10, 500.0  # more would measure the load, not the server
GOODPUT, BACK, SOON_MS, TIMES_UNLOADED, RECOVERED_AFTER_S = 0.9, 0.95, 500.0, 3.0, 5.0


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
    unloaded = _p99_ms(await flood.in_turns(ask, 1, 1.0 if small else CAPACITY_S))
    capacity_s, overload_s, after_s = (1.0, 2.0, 6.0) if small else (CAPACITY_S, OVERLOAD_S, AFTER_S)
    capacity = good(await flood.in_turns(ask, CALLERS, capacity_s), ask.name) / capacity_s
    answers = await flood.steadily([(ask, min(TIMES * capacity, MOST_PER_SECOND))], overload_s)
    after = await flood.steadily([(ask, 0.9 * capacity)], after_s)
    # A shared machine is not as fast in one minute as in the next: the floor is what it did on both sides of the load.
    capacity_after = good(await flood.in_turns(ask, CALLERS, capacity_s), ask.name) / capacity_s
    flood.close()
    form = deployment.name
    goodput = good(answers, ask.name) / overload_s
    floor = (capacity + capacity_after) / 2
    yield at_least(f"lists in time at 10x capacity, {form}", goodput, "requests/s", floor=floor, ratio=GOODPUT)
    most = max(SOON_MS, TIMES_UNLOADED * unloaded)
    yield at_most(f"p99 of lists admitted at 10x capacity, {form}", _p99_ms(answers), "ms", floor=unloaded, most=most)
    again = [answer for answer in after if answer.at_s >= RECOVERED_AFTER_S]
    share = good(again, ask.name) / max(len(again), 1)
    name = f"lists in time 5 s after, {form}"
    yield at_least(name, share * 0.9 * capacity, "requests/s", floor=0.9 * capacity, ratio=BACK)


def _p99_ms(answers: Sequence[Answer]) -> float:
    seconds = sorted(answer.took_s for answer in answers if answer.status not in (429, 503))
    return percentile(seconds, 0.99) * 1000
