"""The road to receivers: names are resolved once, every address is checked, and exactly a checked one is dialled."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path

import certifi
import httpcore

from contexts.delivery.domain.addresses import Address
from contexts.delivery.domain.delivery import Attempt, AttemptError, attempt_of
from contexts.delivery.domain.destination import Destination, DialRule
from kernel.clock import Clock

CONNECT_S = 3.0  # for the name, for the connection and for TLS, each
RESPONSE_BYTES = 4096  # of an answer's body that are read, and not kept
KEEPALIVE_S = 2.0
RESOLVERS = 32
MOST_ADDRESSES = 32
DIALLED_ADDRESSES = 4  # of a name, one after the other

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class AddressRefused(Exception):
    """A name has an address that may not be dialled; none of its addresses is."""


class NameUnknown(Exception):
    """A name has no address."""


class Resolver:
    """The system's resolver, asked in threads of its own so that a name server that hangs delays nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """All addresses of a host. Raises NameUnknown."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._threads,
                lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG),
            )
        except (socket.gaierror, UnicodeError):
            raise NameUnknown(host) from None
        return [ip_address(str(one[4][0])) for one in found[:MOST_ADDRESSES]]


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Opens TCP connections for the HTTP client, which believes that it dials a name.

    Invariants: a name is resolved once per connection; where one of its addresses may not be dialled, none is; what
    is dialled is the checked address itself, so that a name that changes its mind meanwhile changes nothing.
    """

    def __init__(self, rule: DialRule, resolve: Resolve, network: httpcore.AsyncNetworkBackend | None = None) -> None:
        """`network` opens the connections to checked addresses."""
        self._rule = rule
        self._resolve = resolve
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises AddressRefused, NameUnknown, httpcore.ConnectError, httpcore.ConnectTimeout, TimeoutError."""
        async with asyncio.timeout(timeout):
            addresses = await self._resolve(host, port)
        for address in addresses:
            if not self._rule.admits(address, port):
                raise AddressRefused(host)
        failed: httpcore.ConnectError | None = None
        for address in addresses[:DIALLED_ADDRESSES]:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except httpcore.ConnectError as error:
                failed = error
        raise failed or NameUnknown(host)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        """No receiver is a file. Raises AddressRefused."""
        raise AddressRefused(path)

    async def sleep(self, seconds: float) -> None:
        """Between the client's own tries, of which there are none."""
        await asyncio.sleep(seconds)


class Post:
    """Sends one message to one receiver and tells what came of it.

    Invariants: redirects are answers like others; no proxy is used, whatever the environment says; certificates are
    verified for the name; an attempt is over in `timeout_s`; of an answer at most 4 KiB are read.
    """

    def __init__(
        self,
        network: httpcore.AsyncNetworkBackend,
        clock: Clock,
        *,
        timeout_s: float,
        connections: int,
        ca_path: Path | None = None,
    ) -> None:
        """`network` decides what is dialled; `ca_path`: certificates (PEM) beside the public ones."""
        self._clock = clock
        self._timeout_s = timeout_s
        trusted = ssl.create_default_context(cafile=certifi.where())
        if ca_path is not None:
            trusted.load_verify_locations(cafile=ca_path)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEPALIVE_S,
            network_backend=network,
        )

    async def __call__(self, place: Destination, headers: Sequence[tuple[str, str]], body: bytes) -> Attempt:
        """One attempt."""
        began, at = time.monotonic(), self._clock.now()

        def spent() -> int:
            return int((time.monotonic() - began) * 1000)

        try:
            async with asyncio.timeout(self._timeout_s):
                status, retry_after = await self._exchange(place, headers, body)
        except Exception as error:
            return Attempt(at, None, _error_of(error), spent())
        return attempt_of(at, status, spent(), retry_after_of(retry_after, at))

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _exchange(
        self, place: Destination, headers: Sequence[tuple[str, str]], body: bytes
    ) -> tuple[int, str | None]:
        url = httpcore.URL(
            scheme=b"https" if place.secure else b"http", host=place.host.encode(), port=place.port,
            target=place.target.encode(),
        )  # fmt: skip
        limits = {"connect": min(CONNECT_S, self._timeout_s), "read": self._timeout_s, "write": self._timeout_s}
        async with self._pool.stream(
            "POST",
            url,
            headers=list(headers),
            content=body,
            extensions={"timeout": {**limits, "pool": self._timeout_s}},
        ) as response:
            read = 0
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read >= RESPONSE_BYTES:
                    break
            asked = next((value for name, value in response.headers if name.lower() == b"retry-after"), None)
            return response.status, None if asked is None else asked.decode("latin-1")


def retry_after_of(text: str | None, at: datetime) -> timedelta | None:
    """What a receiver asks for: seconds, or an HTTP date; None for anything else."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:9]))
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        instant = parsedate_to_datetime(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - at
    return None


def _error_of(error: Exception) -> AttemptError:
    if isinstance(error, AddressRefused):
        return AttemptError.ADDRESS_REFUSED
    if isinstance(error, NameUnknown):
        return AttemptError.NAME_UNKNOWN
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return AttemptError.TIMEOUT
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return AttemptError.TLS
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.NetworkError | OSError):
        return AttemptError.CONNECTION
    return AttemptError.PROTOCOL
