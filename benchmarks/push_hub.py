"""A hub of the product as a process of its own, with events handed to it by its standard input.

`python -m benchmarks.push_hub PORT TENANT JWK`. A line `all` publishes an event of the tenant, `one EMPLOYEE` one that
concerns an employee, `usage` tells its memory; each is answered by a line of JSON.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp
from muster.event.v1.event_feed_pb2 import Entry
from muster.organization.v1 import events_pb2 as organization

from application.access.tokens import Jwk, PublishedKeys, TokenVerifier
from application.events.feeds import Feeds
from chassis.lifecycle import Lifecycle, Listener, run, serve_http, spare_garbage_collection
from chassis.settings import Settings
from chassis.telemetry import configure_logging
from interfaces.push.hub import Hub
from interfaces.push.sources import Sources
from interfaces.push.streams import Streams

SERVICE = "organization"


def spent() -> dict[str, float]:
    """The clock, and the CPU seconds of this process."""
    return {"now": time.perf_counter(), "cpu_s": time.process_time()}


def usage() -> dict[str, float]:
    """Memory of this process that it shares with nobody (KiB, Linux)."""
    gc.collect()
    own = 0
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            own += int(line.split()[1])
    return {"own_kib": own}


def event_text(number: int) -> bytes:
    """A message as long as the hub's, for the floor."""
    return json.dumps({"sequence": f"{number:019d}", "data": "x" * 420}).encode()


def answer(told: dict[str, Any]) -> None:
    """A line for the one who asked."""
    print(json.dumps(told), flush=True)


async def commands() -> AsyncIterator[list[str]]:
    """The lines of the standard input, until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().split()


class Seen(Sources):
    """Sources that have been seen: events come by the standard input."""

    @property
    def begun(self) -> bool:
        """Always."""
        return True


def entry_of(tenant: str, employee: str, position: int) -> Entry:
    """An event that concerns an employee."""
    event = organization.EmployeeTransferredEvent(employee_id=employee, change_id=str(uuid4()))
    now = Timestamp()
    now.GetCurrentTime()
    return Entry(
        position=position,
        event_id=str(uuid4()),
        tenant_id=tenant,
        type=event.DESCRIPTOR.full_name,
        aggregate_type="employee",
        aggregate_id=employee,
        aggregate_version=position,
        occurred_time=now,
        payload=event.SerializeToString(),
    )


async def main(port: int, tenant: str, jwk: Jwk) -> None:
    """Serve until the standard input ends."""

    configure_logging(level="WARNING")  # to stderr; the standard output is for answers

    async def keys() -> list[Jwk]:
        return [jwk]

    hub = Hub()
    hub.begins(SERVICE, 0)
    sources = Seen({}, None, hub, lambda entry: None)  # type: ignore[arg-type]
    streams = Streams(hub, sources, Feeds({}), TokenVerifier(PublishedKeys(keys), issuer="muster"))
    settings = Settings.embedded(Path("unused"), grace_s=2.0)
    async with Lifecycle(grace_s=2.0) as lifecycle:
        listener = Listener("127.0.0.1", port)
        await lifecycle.start(serve_http(streams, listener, settings, lifespan=False, streams=hub.limits.in_all))
        lifecycle.spawn("connections", hub.watch)
        spare_garbage_collection()
        answer({"ready": True})
        position = 0
        async for command, *arguments in commands():
            if command == "usage":
                answer(usage())
                continue
            position += 1
            entry = entry_of(tenant, arguments[0] if arguments else str(uuid4()), position)
            before = spent()
            await hub.publish(SERVICE, [entry])
            answer({"began": before["now"], "cpu_s": spent()["cpu_s"] - before["cpu_s"]})
        await hub.drain(1.0)


if __name__ == "__main__":
    run(lambda: main(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
