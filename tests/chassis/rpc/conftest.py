"""One data service with the probe on it, and a client of it: over the wire, and in the same process without one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chassis.assertion import Signer, prepare_keys
from chassis.lifecycle import Listener
from chassis.rpc import server
from chassis.rpc.channels import Channels, Client
from chassis.settings import Settings
from tests.chassis.rpc.probe import Probe, wire


@dataclass(frozen=True, slots=True)
class Served:
    """The running probe and what is needed to call it."""

    probe: Probe
    client: Client
    stub: Any
    address: str
    signer: Signer
    settings: Settings


@pytest.fixture(params=[False, True], ids=["wire", "in process"])
async def served(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    settings = Settings.embedded(
        tmp_path / "data", longest_deadline_s=2.0, reflection=True, in_process=bool(request.param)
    )
    prepare_keys(settings)
    probe = Probe()
    registration = (wire.add_ProbeServiceServicer_to_server, probe)
    running = await server.start(Listener(), [registration], name="probe", settings=settings)
    signer = Signer.open(settings)
    channels = Channels(settings, signer, {"probe": running.address})
    client = channels.to("probe")
    yield Served(probe, client, client.stub(wire.ProbeServiceStub), running.address, signer, settings)
    await channels.close()
    await running.stop(1.0)
