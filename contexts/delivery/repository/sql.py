"""Delivery in SQL: explicit mapping between rows and values."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import RowMapping

from chassis.crypto import FieldCipher, Place
from chassis.database import Database, Lock, Tx, delete, select, update
from chassis.outbox import Outbox
from chassis.principal import Call
from chassis.tenants import tenants_with
from chassis.unit_of_work import UnitOfWork
from contexts.delivery.domain.delivery import Attempt, AttemptError, Delivery, DeliveryId, DeliveryStatus
from contexts.delivery.domain.destination import Destination
from contexts.delivery.domain.endpoint import Because, EndpointId, EndpointState, EventTypes, Status, WebhookEndpoint
from contexts.delivery.domain.errors import WebhookDeliveryNotFound, WebhookEndpointNotFound
from contexts.delivery.domain.lane import Lane
from contexts.delivery.domain.secret import Secret, SecretId
from contexts.delivery.repository import tables
from contexts.delivery.repository.port import Message
from kernel.clock import Clock
from kernel.errors import Stale
from kernel.ids import TenantId, Version

Row = RowMapping

_endpoint = tables.webhook_endpoint.c
_secret = tables.webhook_secret.c
_lane = tables.webhook_lane.c
_message = tables.webhook_message.c
_delivery = tables.webhook_delivery.c
_attempt = tables.webhook_attempt.c


class Seals:
    """How a tenant's addresses and secrets are stored."""

    def __init__(self, cipher: FieldCipher, tenant_id: TenantId) -> None:
        self._cipher = cipher
        self._tenant_id = tenant_id

    def seal_url(self, place: Destination, endpoint_id: UUID) -> bytes:
        """For the endpoint's row only."""
        return self._cipher.seal_text(place.url, self._url(endpoint_id))

    def open_url(self, sealed: bytes, endpoint_id: UUID) -> Destination:
        """What was sealed; it was checked when it was written, and is again when it is dialled."""
        url = self._cipher.open_text(sealed, self._url(endpoint_id))
        return _stored(url)

    def seal_key(self, secret: Secret) -> bytes:
        """For the secret's row only."""
        return self._cipher.seal(secret.key, self._key(secret.id))

    def open_key(self, sealed: bytes, secret_id: UUID) -> bytes:
        """What was sealed. Raises CiphertextRefused."""
        return self._cipher.open(sealed, self._key(secret_id))

    def _url(self, endpoint_id: UUID) -> Place:
        return Place(self._tenant_id, "webhook_endpoint", "url_sealed", endpoint_id)

    def _key(self, secret_id: UUID) -> Place:
        return Place(self._tenant_id, "webhook_secret", "key_sealed", secret_id)


def _stored(url: str) -> Destination:
    """The parts of a URL in the form that `Destination.url` writes."""
    scheme, _, rest = url.partition("://")
    authority, _, target = rest.partition("/")
    host, port = authority, 443 if scheme == "https" else 80
    if authority.rpartition(":")[2].isdigit() and not authority.endswith("]"):
        host, _, digits = authority.rpartition(":")
        port = int(digits)
    return Destination(scheme == "https", host.strip("[]"), port, f"/{target}")


async def _states(tx: Tx, seals: Seals, rows: Sequence[Row]) -> list[EndpointState]:
    secrets: dict[UUID, list[Secret]] = defaultdict(list)
    if rows:
        ids = [row["endpoint_id"] for row in rows]
        wanted = select(tables.webhook_secret).where(_secret.endpoint_id.in_(ids))
        for row in await tx.rows(wanted.order_by(_secret.created_time, _secret.secret_id)):
            key = seals.open_key(row["key_sealed"], row["secret_id"])
            secrets[row["endpoint_id"]].append(
                Secret(SecretId(row["secret_id"]), key, row["created_time"], row["expire_time"])
            )
    return [
        EndpointState(
            EndpointId(row["endpoint_id"]),
            seals.open_url(row["url_sealed"], row["endpoint_id"]),
            row["description"],
            EventTypes(tuple(bytes(row["event_types"]).decode().split())),
            Status(row["status"]),
            None if row["because"] is None else Because(row["because"]),
            tuple(secrets[row["endpoint_id"]]),
            Version(row["version"]),
            row["created_time"],
        )
        for row in rows
    ]


def _not_found(id: EndpointId) -> WebhookEndpointNotFound:
    return WebhookEndpointNotFound("there is no such endpoint; check the id", field="endpoint_id", endpoint_id=id)


def _no_delivery(id: DeliveryId) -> WebhookDeliveryNotFound:
    return WebhookDeliveryNotFound(
        "the endpoint has no such delivery; check the id", field="delivery_id", delivery_id=id
    )


class SqlEndpoints:
    """Endpoints with their secrets."""

    def __init__(self, tx: Tx, seals: Seals, outbox: Outbox) -> None:
        self._tx = tx
        self._seals = seals
        self._outbox = outbox

    async def get(self, id: EndpointId, seen: Version | None = None) -> WebhookEndpoint:
        wanted = select(tables.webhook_endpoint).where(
            _endpoint.endpoint_id == id, _endpoint.status != Status.DELETED.value
        )
        rows = await self._tx.rows(wanted, lock=Lock.UPDATE)
        if not rows:
            raise _not_found(id)
        if seen is not None and rows[0]["version"] != seen:
            raise Stale("the endpoint was changed meanwhile; read it again", version=rows[0]["version"])
        return WebhookEndpoint((await _states(self._tx, self._seals, rows))[0])

    async def enabled(self) -> Sequence[EndpointState]:
        wanted = select(tables.webhook_endpoint).where(_endpoint.status == Status.ENABLED.value)
        return await _states(self._tx, self._seals, await self._tx.rows(wanted.order_by(_endpoint.endpoint_id)))

    async def count(self) -> int:
        wanted = select(tables.webhook_endpoint, _endpoint.endpoint_id)
        return len(await self._tx.rows(wanted.where(_endpoint.status != Status.DELETED.value).limit(1000)))

    async def add(self, endpoint: WebhookEndpoint) -> None:
        state = replace(endpoint.state, version=Version(1))
        row = {"endpoint_id": state.id, "created_time": state.created_time, **self._values(state)}
        await self._tx.insert(tables.webhook_endpoint, row)
        await self._tx.insert(tables.webhook_secret, [self._secret_row(state.id, one) for one in state.secrets])
        await self._tx.insert(tables.webhook_lane, {"endpoint_id": state.id, **_lane_values(Lane(state.id))})
        self._saved(endpoint, state)

    async def save(self, endpoint: WebhookEndpoint) -> None:
        state = replace(endpoint.state, version=Version(endpoint.state.version + 1))
        changed = update(tables.webhook_endpoint).where(
            _endpoint.endpoint_id == state.id, _endpoint.version == endpoint.state.version
        )
        if await self._tx.execute(changed.values(**self._values(state))) != 1:
            raise Stale("the endpoint was changed meanwhile; read it again", endpoint_id=state.id)
        await self._tx.execute(delete(tables.webhook_secret).where(_secret.endpoint_id == state.id))
        if state.secrets:
            await self._tx.insert(tables.webhook_secret, [self._secret_row(state.id, one) for one in state.secrets])
        self._saved(endpoint, state)

    async def forget_deleted(self) -> int:
        wanted = select(tables.webhook_endpoint, _endpoint.endpoint_id)
        gone = [
            row["endpoint_id"] for row in await self._tx.rows(wanted.where(_endpoint.status == Status.DELETED.value))
        ]
        forgotten = 0
        for id in gone:
            left = select(tables.webhook_delivery, _delivery.delivery_id).where(_delivery.endpoint_id == id).limit(1)
            if await self._tx.row(left) is None:
                await self._tx.execute(delete(tables.webhook_lane).where(_lane.endpoint_id == id))
                await self._tx.execute(delete(tables.webhook_endpoint).where(_endpoint.endpoint_id == id))
                forgotten += 1
        return forgotten

    def _values(self, state: EndpointState) -> dict[str, Any]:
        return {
            "url_sealed": self._seals.seal_url(state.place, state.id),
            "description": state.description,
            "event_types": "\n".join(state.event_types.wanted).encode(),
            "status": state.status.value,
            "because": None if state.because is None else state.because.value,
            "version": state.version,
        }

    def _secret_row(self, endpoint_id: EndpointId, secret: Secret) -> dict[str, Any]:
        return {
            "endpoint_id": endpoint_id,
            "secret_id": secret.id,
            "key_sealed": self._seals.seal_key(secret),
            "created_time": secret.created_time,
            "expire_time": secret.expire_time,
        }

    def _saved(self, endpoint: WebhookEndpoint, state: EndpointState) -> None:
        self._outbox.add("webhook_endpoint", state.id, state.version, endpoint.pull_events())
        endpoint.state = state


def _lane_of(row: Row) -> Lane:
    return Lane(row["endpoint_id"], row["due_time"], row["lease_id"], row["failed_turns"], row["failing_since"])


def _lane_values(lane: Lane) -> dict[str, Any]:
    return {
        "due_time": lane.due_time,
        "lease_id": lane.lease_id,
        "failed_turns": lane.failed_turns,
        "failing_since": lane.failing_since,
    }


class SqlLanes:
    """Lanes, one row each."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def locked(self, ids: Collection[EndpointId]) -> Sequence[Lane]:
        if not ids:
            return []
        wanted = select(tables.webhook_lane).where(_lane.endpoint_id.in_(ids)).order_by(_lane.endpoint_id)
        return [_lane_of(row) for row in await self._tx.rows(wanted, lock=Lock.UPDATE)]

    async def waiting(self, at: datetime, limit: int, *, ailing: bool) -> Sequence[Lane]:
        failed = _lane.failed_turns > 0 if ailing else _lane.failed_turns == 0
        wanted = select(tables.webhook_lane).where(_lane.due_time <= at, failed).order_by(_lane.due_time).limit(limit)
        # What another worker or a new delivery holds at this moment is not waited for: it is found at the next look.
        return [_lane_of(row) for row in await self._tx.rows(wanted.with_for_update(skip_locked=True))]

    async def save(self, lane: Lane) -> None:
        changed = update(tables.webhook_lane).where(_lane.endpoint_id == lane.endpoint_id)
        await self._tx.execute(changed.values(**_lane_values(lane)))


def _attempt_of(row: Row, prefix: str = "") -> Attempt:
    error = row[f"{prefix}error"]
    return Attempt(
        row[f"{prefix}time"],
        row[f"{prefix}status_code"],
        None if error is None else AttemptError(error),
        row[f"{prefix}duration_ms"],
    )


def _delivery_of(row: Row) -> Delivery:
    return Delivery(
        DeliveryId(row["delivery_id"]),
        row["endpoint_id"],
        row["event_id"],
        row["event_type"],
        row["created_time"],
        DeliveryStatus(row["status"]),
        row["due_time"],
        row["tries"],
        None if row["last_time"] is None else _attempt_of(row, "last_"),
    )


def _progress(one: Delivery) -> dict[str, Any]:
    last = one.last
    return {
        "status": one.status.value,
        "due_time": one.due_time,
        "tries": one.tries,
        "last_time": None if last is None else last.time,
        "last_status_code": None if last is None else last.status_code,
        "last_error": None if last is None or last.error is None else last.error.value,
        "last_duration_ms": None if last is None else last.duration_ms,
    }


class SqlDeliveries:
    """Deliveries, messages and attempts."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def known(self, ids: Collection[DeliveryId]) -> Collection[DeliveryId]:
        wanted = select(tables.webhook_delivery, _delivery.delivery_id).where(_delivery.delivery_id.in_(ids))
        return {row["delivery_id"] for row in await self._tx.rows(wanted)} if ids else set()

    async def add(self, messages: Sequence[Message], deliveries: Sequence[Delivery]) -> None:
        ids = [one.event_id for one in messages]
        wanted = select(tables.webhook_message, _message.event_id).where(_message.event_id.in_(ids))
        there = {row["event_id"] for row in await self._tx.rows(wanted)}
        fresh = [{"event_id": one.event_id, "body": one.body} for one in messages if one.event_id not in there]
        if fresh:
            await self._tx.insert(tables.webhook_message, fresh)
        rows = [
            {
                "delivery_id": one.id,
                "endpoint_id": one.endpoint_id,
                "event_id": one.event_id,
                "event_type": one.event_type,
                "created_time": one.created_time,
                **_progress(one),
            }
            for one in deliveries
        ]
        if rows:
            await self._tx.insert(tables.webhook_delivery, rows)

    async def due(self, endpoint_id: EndpointId, at: datetime, limit: int) -> Sequence[tuple[Delivery, bytes]]:
        wanted = (
            select(tables.webhook_delivery, *tables.webhook_delivery.c, _message.body)
            .join(
                tables.webhook_message,
                (_message.tenant_id == _delivery.tenant_id) & (_message.event_id == _delivery.event_id),
            )
            .where(_delivery.endpoint_id == endpoint_id, _delivery.due_time <= at)
            .order_by(_delivery.due_time, _delivery.event_id)
            .limit(limit)
        )
        return [(_delivery_of(row), bytes(row["body"])) for row in await self._tx.rows(wanted)]

    async def next_due(self, endpoint_id: EndpointId) -> datetime | None:
        wanted = select(tables.webhook_delivery, _delivery.due_time).where(
            _delivery.endpoint_id == endpoint_id, _delivery.due_time.is_not(None)
        )
        row = await self._tx.row(wanted.order_by(_delivery.due_time).limit(1))
        return None if row is None else row["due_time"]

    async def get(self, endpoint_id: EndpointId, id: DeliveryId) -> Delivery:
        wanted = select(tables.webhook_delivery).where(
            _delivery.delivery_id == id, _delivery.endpoint_id == endpoint_id
        )
        row = await self._tx.row(wanted, lock=Lock.UPDATE)
        if row is None:
            raise _no_delivery(id)
        return _delivery_of(row)

    async def save(self, delivery: Delivery) -> None:
        changed = update(tables.webhook_delivery).where(_delivery.delivery_id == delivery.id)
        await self._tx.execute(changed.values(**_progress(delivery)))

    async def note(self, delivery_id: DeliveryId, attempt: Attempt, attempt_id: UUID) -> None:
        await self._tx.insert(
            tables.webhook_attempt,
            {
                "delivery_id": delivery_id,
                "attempt_id": attempt_id,
                "time": attempt.time,
                "status_code": attempt.status_code,
                "error": None if attempt.error is None else attempt.error.value,
                "duration_ms": attempt.duration_ms,
            },
        )

    async def purge(self, before: datetime, limit: int) -> int:
        gone = select(tables.webhook_endpoint, _endpoint.endpoint_id).where(_endpoint.status == Status.DELETED.value)
        deleted = [row["endpoint_id"] for row in await self._tx.rows(gone)]
        old = select(tables.webhook_delivery, _delivery.delivery_id, _delivery.event_id).where(
            (_delivery.created_time < before) | _delivery.endpoint_id.in_(deleted)
        )
        rows = await self._tx.rows(old.limit(limit))
        if not rows:
            return 0
        ids, events = [row["delivery_id"] for row in rows], {row["event_id"] for row in rows}
        await self._tx.execute(delete(tables.webhook_attempt).where(_attempt.delivery_id.in_(ids)))
        await self._tx.execute(delete(tables.webhook_delivery).where(_delivery.delivery_id.in_(ids)))
        carried = select(tables.webhook_delivery, _delivery.event_id).where(_delivery.event_id.in_(events))
        idle = events - {row["event_id"] for row in await self._tx.rows(carried)}
        if idle:
            await self._tx.execute(delete(tables.webhook_message).where(_message.event_id.in_(idle)))
        return len(rows)


class SqlDeliveryLog:
    """Endpoints and deliveries as they are read, without the aggregate round them."""

    def __init__(self, tx: Tx, cipher: FieldCipher) -> None:
        self._tx = tx
        self._seals = Seals(cipher, tx.tenant_id)

    async def endpoint(self, id: EndpointId) -> tuple[EndpointState, Lane]:
        found = await self._with_lanes(_shown().where(_endpoint.endpoint_id == id))
        if not found:
            raise _not_found(id)
        return found[0]

    async def endpoints(self, after: EndpointId | None, limit: int) -> Sequence[tuple[EndpointState, Lane]]:
        page = _shown().order_by(_endpoint.endpoint_id).limit(limit)
        return await self._with_lanes(page if after is None else page.where(_endpoint.endpoint_id > after))

    async def deliveries(
        self, endpoint_id: EndpointId, status: DeliveryStatus | None, before: UUID | None, limit: int
    ) -> Sequence[Delivery]:
        if await self._tx.row(select(tables.webhook_endpoint, _endpoint.endpoint_id).where(
            _endpoint.endpoint_id == endpoint_id, _endpoint.status != Status.DELETED.value
        )) is None:  # fmt: skip
            raise _not_found(endpoint_id)
        page = select(tables.webhook_delivery).where(_delivery.endpoint_id == endpoint_id)
        if status is not None:
            page = page.where(_delivery.status == status.value)
        if before is not None:
            page = page.where(_delivery.event_id < before)
        rows = await self._tx.rows(page.order_by(_delivery.event_id.desc()).limit(limit))
        return [_delivery_of(row) for row in rows]

    async def delivery(self, endpoint_id: EndpointId, id: DeliveryId, limit: int) -> tuple[Delivery, Sequence[Attempt]]:
        wanted = select(tables.webhook_delivery).where(
            _delivery.delivery_id == id, _delivery.endpoint_id == endpoint_id
        )
        row = await self._tx.row(wanted)
        if row is None:
            raise _no_delivery(id)
        newest = select(tables.webhook_attempt).where(_attempt.delivery_id == id)
        rows = await self._tx.rows(newest.order_by(_attempt.attempt_id.desc()).limit(limit))
        return _delivery_of(row), [_attempt_of(one) for one in rows]

    async def _with_lanes(self, page: Any) -> list[tuple[EndpointState, Lane]]:
        rows = await self._tx.rows(page)
        if not rows:
            return []
        wanted = select(tables.webhook_lane).where(_lane.endpoint_id.in_([row["endpoint_id"] for row in rows]))
        lanes: Mapping[UUID, Lane] = {row["endpoint_id"]: _lane_of(row) for row in await self._tx.rows(wanted)}
        return [(state, lanes[state.id]) for state in await _states(self._tx, self._seals, rows)]


def _shown() -> Any:
    return select(tables.webhook_endpoint).where(_endpoint.status != Status.DELETED.value)


class SqlDeliveryWork(UnitOfWork):
    """A unit of work with delivery's repositories."""

    def __init__(self, tx: Tx, call: Call, clock: Clock, cipher: FieldCipher) -> None:
        super().__init__(tx, call, clock)
        self.endpoints = SqlEndpoints(tx, Seals(cipher, tx.tenant_id), self.outbox)
        self.lanes = SqlLanes(tx)
        self.deliveries = SqlDeliveries(tx)

    @property
    def tenant_id(self) -> TenantId:
        """The tenant of the transaction."""
        return self.tx.tenant_id

    async def lock(self, name: str) -> None:
        """Hold the tenant's named lock until the transaction ends."""
        await self.tx.lock(name)


def sql_work(cipher: FieldCipher) -> Callable[[Tx, Call, Clock], SqlDeliveryWork]:
    """Opens units of work that seal with this cipher."""
    return lambda tx, call, clock: SqlDeliveryWork(tx, call, clock, cipher)


async def interested(database: Database, tenant_ids: Collection[TenantId]) -> Sequence[TenantId]:
    """Those of the tenants that have an enabled endpoint."""
    enabled = _endpoint.status == Status.ENABLED.value
    return await tenants_with(database, tables.webhook_endpoint, enabled, _endpoint.tenant_id.in_(tenant_ids))


async def tenants_waiting(database: Database, at: datetime) -> Sequence[TenantId]:
    """Tenants with a lane that is due."""
    return await tenants_with(database, tables.webhook_lane, _lane.due_time <= at)


async def tenants_to_tidy(database: Database, before: datetime) -> Sequence[TenantId]:
    """Tenants with deliveries from before that instant, or with a deleted endpoint."""
    old = await tenants_with(database, tables.webhook_delivery, _delivery.created_time < before)
    gone = await tenants_with(database, tables.webhook_endpoint, _endpoint.status == Status.DELETED.value)
    return list(dict.fromkeys([*old, *gone]))
