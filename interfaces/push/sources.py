"""Where the hub's events come from: the fast path of every data service, and its feed after silence or a gap."""

import asyncio
import random
from collections.abc import Callable, Mapping

import structlog
from muster.event.v1 import event_feed_pb2 as wire
from muster.event.v1 import event_feed_pb2_grpc

from application.events.feeds import LAST_POSITION
from chassis.bus.consumer import feed_principal
from chassis.bus.port import Entry, FastPath
from chassis.health import NotReady
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from interfaces.push.hub import Hub

log = structlog.get_logger(__name__)

NAME = "push"
PAGE = 500
SILENCE_S = 1.0
LOOK_S = 5.0  # after so long the feed is asked even where the fast path knows that nothing happened
PAUSE_S = 1.0
CALL_S = 5.0
RESTORED = "FEED_RESTORED"


class Sources:
    """The events of all data services, for all tenants.

    Invariants: each service is read by one task of the process, whatever the number of connections.
    """

    def __init__(
        self, clients: Mapping[str, Client], fast_path: FastPath, hub: Hub, overhear: Callable[[Entry], None]
    ) -> None:
        """`overhear` is told of every event."""
        self._clients = clients
        self._stubs = {name: client.stub(event_feed_pb2_grpc.EventFeedServiceStub) for name, client in clients.items()}
        self._fast_path = fast_path
        self._hub = hub
        self._overhear = overhear
        self._everybody = feed_principal(NAME)
        self._begun: set[str] = set()
        self._looked: dict[str, float] = {}  # when each service's feed was asked last

    @property
    def begun(self) -> bool:
        """Whether the hub knows where each feed stands, so that nothing published from now on escapes it."""
        return len(self._begun) == len(self._clients)

    async def check_begun(self) -> None:
        """For readiness. Raises NotReady."""
        if not self.begun:
            raise NotReady("not all feeds were seen yet")

    async def read(self, service: str) -> None:
        """Hand out the events of one service until cancelled, without a gap and in order."""
        while True:
            try:
                if service not in self._begun:
                    self._hub.begins(service, (await self._list(service, LAST_POSITION, 1)).head_position)
                    self._begun.add(service)
                # After a failure of any kind it goes on where the hub stands.
                at = self._hub.cursor.at(service)
                while True:
                    at = await self._follow(service, at)
            except RemoteError as error:
                log.warning("the feed cannot be read", service=service, reason=error.reason)
                await asyncio.sleep(PAUSE_S)

    async def _follow(self, service: str, at: int) -> int:
        """Hand out what comes next, from the fast path or, after silence or a gap, from the feed; the new place."""
        heard = await self._fast_path.read(service, at, PAGE, SILENCE_S)
        following: list[Entry] = []
        for entry in heard:
            if entry.position != at + len(following) + 1:
                break
            following.append(entry)
        if not following:
            if self._nothing_happened(service, at):
                return at
            page = await self._list(service, at, PAGE)
            if page.head_position < at:
                log.warning("the feed was restored from a backup", service=service, at=at, head=page.head_position)
                self._hub.begins(service, page.head_position)
                self._hub.start_over(RESTORED)
                return page.head_position
            following = list(page.entries)
        if following:
            for entry in following:
                self._overhear(entry)
            await self._hub.publish(service, following)
        return at + len(following)

    def _nothing_happened(self, service: str, at: int) -> bool:
        fresh = asyncio.get_running_loop().time() - self._looked.get(service, 0.0) < LOOK_S
        return fresh and self._fast_path.head_of(service) == at

    async def _list(self, service: str, after: int, limit: int) -> wire.ListResponse:
        request = wire.ListRequest(after_position=after, limit=limit)
        answer = await self._clients[service].call(
            self._stubs[service].List, request, principal=self._everybody, timeout_s=CALL_S
        )
        self._looked[service] = asyncio.get_running_loop().time() - random.uniform(
            0.0, LOOK_S / 4
        )  # each at its own time
        return answer
