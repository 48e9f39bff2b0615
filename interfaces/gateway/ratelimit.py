"""`muster run ratelimit`: counts the requests of the exact rate classes for all gateways (Envoy's RLS v3)."""

import grpc
import structlog
from envoy.config.core.v3 import base_pb2
from envoy.extensions.common.ratelimit.v3 import ratelimit_pb2
from envoy.service.ratelimit.v3 import rls_pb2, rls_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_health.v1.health import aio as health_aio  # type: ignore[import-untyped]
from prometheus_client import Counter

from application.edge.operation import RateClass
from chassis.lifecycle import AddressTaken, Listener, Running
from chassis.rate_limit import Limit, SlidingWindows, Verdict
from chassis.settings import Settings, SettingsProblem
from chassis.shared_rate import CountAway, SharedWindows
from interfaces.gateway.routes import ADDRESS_KEY, CLASS_KEY, TENANT_KEY

log = structlog.get_logger(__name__)

NAME = "ratelimit"
MOST_CALLS = 2_000
REDIS_SHARE = 0.5  # of the time that a gateway waits
DECISIONS = Counter(
    "muster_ratelimit_decisions_total",
    "Requests of the exact rate classes: passed, refused, or decided without Redis (open, local)",
    ("rate_class", "outcome"),
)

# While Redis is away. Exports and bulk are dear, but a stop would be dearer; guessing passwords is not let go on.
WITHOUT_REDIS = {RateClass.SIGN_IN: "local", RateClass.EXPORT: "open", RateClass.BULK: "open"}


class RateLimit(rls_pb2_grpc.RateLimitServiceServicer):  # type: ignore[misc]
    """One answer per request: may it pass, and what its sender is told.

    Invariants: a count belongs to one class and one tenant, or where there is none yet to one client address; what
    names no class that we count passes.
    """

    def __init__(self, shared: SharedWindows, rates: dict[RateClass, Limit]) -> None:
        self._shared = shared
        self._rates = rates
        self._local = {rate: SlidingWindows(limit) for rate, limit in rates.items()}
        self._away = False

    async def ShouldRateLimit(self, request: rls_pb2.RateLimitRequest, context: object) -> rls_pb2.RateLimitResponse:
        """Envoy's question. Several descriptors are counted one after the other; the first refusal is the answer."""
        answer = rls_pb2.RateLimitResponse(overall_code=rls_pb2.RateLimitResponse.OK)
        for descriptor in request.descriptors:
            verdict = await self._decide(descriptor)
            answer.statuses.add(code=rls_pb2.RateLimitResponse.OK)
            if verdict is None:
                continue
            if not verdict.passed:
                answer.statuses[-1].code = answer.overall_code = rls_pb2.RateLimitResponse.OVER_LIMIT
            del answer.response_headers_to_add[:]
            answer.response_headers_to_add.extend(
                base_pb2.HeaderValue(key=name, value=value) for name, value in verdict.headers.items()
            )
            if not verdict.passed:
                break
        return answer

    async def _decide(self, descriptor: ratelimit_pb2.RateLimitDescriptor) -> Verdict | None:
        entries = {entry.key: entry.value for entry in descriptor.entries}
        rate = _class_of(entries.get(CLASS_KEY, ""))
        who = entries.get(TENANT_KEY) or entries.get(ADDRESS_KEY)
        if rate is None or not who:
            return None
        try:
            verdict = await self._shared.take(f"muster:rate:{who}:{rate.value}", self._rates[rate])
        except CountAway as error:
            return self._without_redis(rate, who, error)
        if self._away:
            log.info("redis counts again")
            self._away = False
        DECISIONS.labels(rate.value, "passed" if verdict.passed else "refused").inc()
        return verdict

    def _without_redis(self, rate: RateClass, who: str, error: CountAway) -> Verdict | None:
        if not self._away:
            log.warning("redis does not count", error=type(error.__cause__).__name__)
            self._away = True
        DECISIONS.labels(rate.value, WITHOUT_REDIS[rate]).inc()
        return self._local[rate].take(who) if WITHOUT_REDIS[rate] == "local" else None


def _class_of(name: str) -> RateClass | None:
    try:
        rate = RateClass(name)
    except ValueError:
        return None
    return rate if rate.exact else None


async def serve(settings: Settings, listener: Listener) -> Running:
    """Serve until stopped. Raises SettingsProblem without a Redis, AddressTaken."""
    if settings.redis_url is None:
        raise SettingsProblem(["MUSTER_REDIS_URL is missing: write redis://host:port/db, where the counts are kept"])
    shared = SharedWindows(settings.redis_url, within_s=settings.ratelimit_timeout_s * REDIS_SHARE)
    rates = {rate: settings.rates[rate.value] for rate in RateClass if rate.exact}
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=MOST_CALLS)
    rls_pb2_grpc.add_RateLimitServiceServicer_to_server(RateLimit(shared, rates), server)
    health = health_aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    listener.clear()
    try:
        port = server.add_insecure_port(listener.target)
    except RuntimeError:
        raise AddressTaken(f"{NAME} cannot listen on {listener.target}: free it or choose another address") from None
    await server.start()
    for name in ("", NAME):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(grace_s: float) -> None:
        await health.enter_graceful_shutdown()
        await server.stop(grace_s)
        await shared.close()

    return Running(NAME, listener.target if listener.path else Listener(listener.host, port).target, stop)
