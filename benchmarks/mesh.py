"""What callers notice while parts of the mesh die, freeze and forget: failed calls, and the slowest one."""

from collections.abc import AsyncIterator

from benchmarks.figure import Figure
from tests.support.failover import SCENARIOS, Mesh, Outcome, measured

NEW_REPLICA_S = 2.0


async def failovers(*, small: bool = False) -> AsyncIterator[Figure]:
    """Milliseconds of the slowest call in each scenario, of which none may fail; one scenario where `small`."""
    async with Mesh(control_planes=2) as mesh:
        ports = [(await mesh.replica())[0] for _ in range(2)]
        caller = mesh.caller()
        await caller.serves(*ports)
        for name, act in list(SCENARIOS.items())[: 1 if small else None]:
            [outcome] = await measured(mesh, act, caller)
            yield figure_of(name, outcome)
        yield await _new_replica(mesh)


def figure_of(name: str, outcome: Outcome) -> Figure:
    """One row of the table of failovers."""
    return Figure(
        f"slowest call while {name}",
        outcome.worst_s * 1000,
        "ms",
        None,
        f"0 failed: {outcome.failed} of {outcome.calls:,}",
        outcome.failed == 0,
    )


async def _new_replica(mesh: Mesh) -> Figure:
    caller = mesh.caller()
    async with caller.load() as outcome:
        port, ready = await mesh.replica()
    taken = outcome.first.get(port, float("inf")) - ready
    return Figure(
        "a new replica's first call after it is ready",
        taken,
        "s",
        None,
        f"<= {NEW_REPLICA_S:g} s",
        taken <= NEW_REPLICA_S,
    )
