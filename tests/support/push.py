"""A hub over a real feed, served on a real socket, and clients that read its streams as programs do."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

from application.access.claims import AUDIENCE
from application.access.tokens import Jwk, PublishedKeys, TokenVerifier
from application.events.feeds import Feeds
from chassis.bus.port import FastPath
from chassis.lifecycle import Listener, serve_http
from chassis.rpc.channels import Client
from chassis.settings import Settings
from interfaces.push.hub import Hub, Limits
from interfaces.push.sources import Sources
from interfaces.push.streams import Streams
from kernel.ids import TenantId

ISSUER = "muster"


class Tokens:
    """An issuer of access tokens in miniature."""

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)

    async def published(self) -> list[Jwk]:
        """Its public key."""
        public = self._key.as_dict(private=False)
        return [{name: str(public[name]) for name in ("kty", "crv", "kid", "x", "y")}]

    def verifier(self) -> TokenVerifier:
        """What accepts its tokens."""
        return TokenVerifier(PublishedKeys(self.published), issuer=ISSUER)

    def token(
        self,
        tenant: TenantId,
        *roles: str,
        account: UUID | None = None,
        employee: UUID | None = None,
        seconds: float = 900,
    ) -> str:
        """An access token; `seconds` until it expires."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(account or uuid4()),
            "tenant": str(tenant),
            "roles": list(roles),
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + int(seconds),
            "jti": str(uuid4()),
        }
        if employee is not None:
            claims["employee_id"] = str(employee)
        return jwt.encode({"alg": "ES256", "kid": self._key.kid, "typ": "JWT"}, claims, self._key)


@dataclass
class Heard:
    """One message of a stream."""

    id: str
    event: str
    data: dict[str, Any]
    retry_ms: int = 0

    @property
    def sequence(self) -> int:
        """The position of a published event."""
        return int(self.data["sequence"])


class SseClient:
    """A program that reads `/v1/stream`; what it does not read stays in the sockets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""  # of a refusal
        self.last_id = ""
        self._buffer = b""

    @classmethod
    async def open(
        cls, address: str, token: str, *, query: str = "", last_id: str = "", headers: Mapping[str, str] | None = None
    ) -> "SseClient":
        """Ask for a stream and read the answer's head."""
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        client = cls(reader, writer)
        asked = {"Host": address, "Authorization": f"Bearer {token}", **(headers or {})}
        if last_id:
            asked["Last-Event-ID"] = last_id
            client.last_id = last_id
        head = "".join(f"{name}: {value}\r\n" for name, value in asked.items())
        writer.write(f"GET /v1/stream{query} HTTP/1.1\r\n{head}\r\n".encode())
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        client.status = int(status.split()[1])
        client.headers = dict(line.lower().split(": ", 1) for line in lines if line)
        if client.status != 200:
            client.body = await reader.readexactly(int(client.headers["content-length"]))
        return client

    async def _block(self) -> str | None:
        while b"\n\n" not in self._buffer:
            size = int((await self._reader.readline()).strip() or b"0", 16)
            if size == 0:
                return None
            self._buffer += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        block, _, self._buffer = self._buffer.partition(b"\n\n")
        return block.decode()

    async def next(self, timeout_s: float = 20.0) -> Heard | None:
        """The next message with data, None at the end. Raises TimeoutError, OSError, IncompleteReadError."""
        async with asyncio.timeout(timeout_s):
            while (block := await self._block()) is not None:
                found: dict[str, str] = dict(line.partition(": ")[::2] for line in block.split("\n"))
                self.last_id = found.get("id", self.last_id)
                if "data" in found:
                    data = json.loads(found["data"])
                    return Heard(self.last_id, found.get("event", ""), data, int(found.get("retry", "0")))
        return None

    async def events(self, count: int, timeout_s: float = 20.0, *, of: str = "") -> list[Heard]:
        """The next published events. `of`: those whose type begins so."""
        found: list[Heard] = []
        while len(found) < count:
            message = await self.next(timeout_s)
            assert message is not None, f"the stream ended after {len(found)} of {count} events"
            if not message.event and message.data["type"].startswith(of):
                found.append(message)
        return found

    async def nothing(self, seconds: float = 0.3, *, of: str = "") -> bool:
        """Whether no published event comes for a while. `of`: none whose type begins so."""
        try:
            while (message := await self.next(seconds)) is not None:
                if not message.event and message.data["type"].startswith(of):
                    return False
        except TimeoutError:
            return True
        return True

    def close(self) -> None:
        """Go away without a word."""
        self.writer.transport.abort()


@dataclass
class RunningHub:
    """A hub on a socket."""

    address: str
    hub: Hub
    tokens: Tokens
    stop: Any
    clients: list[SseClient] = field(default_factory=list)

    async def listen(self, token: str, **options: Any) -> SseClient:
        """A client that is heard of by the end of the test."""
        client = await SseClient.open(self.address, token, **options)
        self.clients.append(client)
        if client.status == 200:
            assert (first := await client.next()) is not None
            assert first.event == "hello", first
        return client


@asynccontextmanager
async def a_hub(
    clients: Mapping[str, Client],
    fast_path: FastPath,
    tokens: Tokens,
    *,
    limits: Limits | None = None,
    listener: Listener | None = None,
) -> AsyncIterator[RunningHub]:
    """A hub over these feeds, reading them."""
    hub = Hub(limits)
    sources = Sources(clients, fast_path, hub, lambda entry: None)
    streams = Streams(hub, sources, Feeds(clients), tokens.verifier())
    settings = Settings.embedded(Path("unused"), grace_s=5.0)
    running = await serve_http(
        streams, listener or Listener(), settings, name="push", lifespan=False, streams=hub.limits.in_all
    )
    loops = [asyncio.create_task(sources.read(service)) for service in clients]
    loops.append(asyncio.create_task(hub.watch()))
    made = RunningHub(running.address, hub, tokens, running.preceded_by(hub.drain).stop)
    try:
        await until(lambda: sources.begun)
        yield made
    finally:
        for client in made.clients:
            client.close()
        await made.stop(2.0)
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops)


def an_employee() -> UUID:
    """An id that nobody has."""
    return UUID(bytes=secrets.token_bytes(16), version=4)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something to come about. Raises AssertionError."""
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about in time")
