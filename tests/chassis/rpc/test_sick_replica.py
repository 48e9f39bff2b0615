"""A replica that answers, but fails what it is asked: its callers go to the others, and come back once it is well."""

import asyncio

import pytest

from chassis.rpc.error_map import RemoteError
from chassis.rpc.interceptors import Interceptor
from tests.chassis.rpc.conftest import Served
from tests.chassis.rpc.replicas import Replicas, replicas

CALLERS, READ_S = 8, 0.01
NOTICED_S = 3.0  # reports are looked at once a second
LONGEST_S = 30.0


async def reads_in(two: Replicas, seconds: float) -> list[float | RemoteError]:
    """What all callers found for so long."""
    loop = asyncio.get_running_loop()
    until, found = loop.time() + seconds, list[float | RemoteError]()

    async def caller() -> None:
        while loop.time() < until:
            found.append(await two.outcome())

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return found


async def while_one_is_sick(two: Replicas) -> tuple[int, float]:
    """How many reads failed after the sickness was noticed, and what share of the attempts went to who is sick."""
    for replica in two.replicas:
        replica.pause_s = READ_S
    await reads_in(two, 0.5)
    sick, well = two.replicas
    sick.away, sick.pause_s = True, 0.0  # who fails answers soonest
    await reads_in(two, NOTICED_S)

    before = sick.started["read"], well.started["read"]
    found = await reads_in(two, 1.0)

    asked = sick.started["read"] - before[0]
    return sum(isinstance(one, RemoteError) for one in found), asked / (asked + well.started["read"] - before[1])


@pytest.mark.parametrize("xds", [False, True], ids=["by addresses", "by xDS"])
async def test_callers_go_round_a_replica_that_fails_and_come_back_to_it(served: Served, xds: bool) -> None:
    async with replicas(served, 2, xds=xds) as two:
        failed, share = await while_one_is_sick(two)
        assert failed == 0
        assert share < 0.1

        healed = two.replicas[0]
        healed.away, healed.pause_s = False, READ_S
        async with asyncio.timeout(LONGEST_S):
            while True:
                before = healed.started["read"]
                found = await reads_in(two, 0.5)
                assert not [one for one in found if isinstance(one, RemoteError)]
                if healed.started["read"] - before > 0.3 * len(found):
                    break


async def test_callers_who_are_not_told_would_go_on_asking_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interceptor, "report", lambda self, now: ())
    async with replicas(served, 2) as two:
        failed, share = await while_one_is_sick(two)

    assert failed > 0
    assert share > 0.3
