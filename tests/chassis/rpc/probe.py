"""A service for tests of the plumbing: its proto compiled on the fly, its servicer, and who calls it."""

import asyncio
import importlib
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc_tools  # type: ignore[import-untyped]
import sqlalchemy.exc
from grpc_tools import protoc

from chassis.principal import Call, Principal, current_call
from kernel.errors import DomainError, Kind, Stale
from kernel.ids import TenantId

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SERVICE = "probe.v1.ProbeService"


def _generated() -> tuple[Any, Any]:
    folder = tempfile.mkdtemp(prefix="muster-probe-")
    roots = (HERE, ROOT / "protos", Path(grpc_tools.__file__).parent / "_proto")
    arguments = ["protoc", *(f"-I{root}" for root in roots), f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main([*arguments, "probe.proto"]) != 0:
        raise RuntimeError("the probe's proto does not compile")
    sys.path.insert(0, folder)
    return importlib.import_module("probe_pb2"), importlib.import_module("probe_pb2_grpc")


messages, wire = _generated()


class TooMany(DomainError):
    """A rule for tests."""

    kind, reason = Kind.RULE, "TOO_MANY"


class Misspelt(DomainError):
    """A wrong value for tests."""

    kind, reason = Kind.INVALID, "MISSPELT"


def a_principal(tenant: int = 1, subject: str = "amy", *roles: str) -> Principal:
    """Somebody in the tenant."""
    return Principal(TenantId(UUID(int=tenant)), subject, frozenset(roles or ("hr_admin",)))


class Probe(wire.ProbeServiceServicer):  # type: ignore[misc,name-defined]
    """Does as it is told and remembers what happened."""

    def __init__(self) -> None:
        self.started: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.calls: list[Call] = []
        self.address = ""  # of its server, for tests that start several

    async def Do(self, request: Any, context: Any) -> Any:
        name = request.behaviour
        self.started[name] += 1
        self.calls.append(current_call())
        try:
            answer = await getattr(self, f"_{name}")(request)
        except asyncio.CancelledError:
            self.cancelled[name] += 1
            raise
        self.finished[name] += 1
        return messages.DoResponse(text=answer or "")

    async def DoMany(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.started[request.behaviour] += 1
        for number in range(request.count):
            if request.behaviour == "fail" and number == 2:
                raise ValueError("a secret in a stream")
            if request.behaviour == "refuse" and number == 2:
                raise TooMany("two are enough", limit=2)
            await asyncio.sleep(0.02 if request.behaviour == "slow" else 0)
            yield messages.DoManyResponse(number=number)

    async def _echo(self, request: Any) -> str:
        return current_call().principal.subject

    async def _sleep(self, request: Any) -> None:
        await asyncio.sleep(request.sleep_ms / 1000)

    async def _refuse(self, request: Any) -> None:
        raise TooMany("there are too many: remove one", limit=3, tried=4, unset=None)

    async def _misspell(self, request: Any) -> None:
        raise Misspelt("write it in capitals", field="items[0].code")

    async def _stale(self, request: Any) -> None:
        raise Stale("somebody was faster: read again")

    async def _crash(self, request: Any) -> None:
        raise ValueError("secret 110101199003077758 in SELECT * FROM employee")

    async def _database_gone(self, request: Any) -> None:
        cause = Exception(2013, "Lost connection to 10.1.2.3")
        raise sqlalchemy.exc.OperationalError("SELECT secret", {}, cause, connection_invalidated=True)

    async def _no_such_column(self, request: Any) -> None:
        raise sqlalchemy.exc.OperationalError("SELECT secret", {}, Exception(1054, "Unknown column"))

    async def _pool_empty(self, request: Any) -> None:
        raise sqlalchemy.exc.TimeoutError("QueuePool limit")

    async def _time_out(self, request: Any) -> None:
        raise TimeoutError
