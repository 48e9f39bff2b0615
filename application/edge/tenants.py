"""What the edge must know of the caller's tenant: its home zone, where its days begin."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from muster.identity.v1 import tenant_pb2, tenant_pb2_grpc

from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.errors import Kind

FRESH_S = 300.0
GOOD_FOR_S = 24 * 3600.0  # while identity is away: a company's zone and currency hardly ever change
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """A tenant as its own people see it."""

    tenant_id: UUID
    code: str
    name: str
    home_zone: str
    locale: str
    currency: str


class Tenants:
    """The tenants' facts, read from identity and remembered for five minutes; for a day while identity is away.

    Invariants: at most 10,000 are remembered; a tenant never sees another's.
    """

    def __init__(
        self,
        identity: Client,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._calls = Calls(identity)
        self._tenants = identity.stub(tenant_pb2_grpc.TenantServiceStub)
        self._monotonic = monotonic
        self._now = now
        self._seen: OrderedDict[UUID, tuple[float, TenantFacts]] = OrderedDict()

    async def mine(self) -> TenantFacts:
        """The facts of the caller's tenant. Raises RemoteError."""
        tenant_id = current_exchange().caller.tenant_id
        known = self._seen.get(tenant_id)
        if known is not None and self._monotonic() - known[0] < FRESH_S:
            return known[1]
        try:
            answer = await self._calls.read(self._tenants.GetTenant, tenant_pb2.GetTenantRequest())
        except RemoteError as error:
            if known is None or isinstance(error.kind, Kind) or self._monotonic() - known[0] > GOOD_FOR_S:
                raise
            return known[1]
        tenant = answer.tenant
        facts = TenantFacts(
            UUID(tenant.tenant_id), tenant.code, tenant.name, tenant.home_zone, tenant.locale, tenant.currency
        )
        self._seen[tenant_id] = (self._monotonic(), facts)
        self._seen.move_to_end(tenant_id)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return facts

    async def today(self) -> date:
        """Today in the home zone of the caller's tenant."""
        return self._now().astimezone(ZoneInfo((await self.mine()).home_zone)).date()
