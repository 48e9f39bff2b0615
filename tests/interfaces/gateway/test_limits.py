"""How much passes: per tenant at each gateway, and exactly over all gateways where it is dear."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

import httpx
import pytest
from envoy.service.ratelimit.v3 import rls_pb2

from application.edge.operation import RateClass
from chassis.lifecycle import Listener, Running
from chassis.rate_limit import Limit
from chassis.settings import RATES, Settings
from chassis.shared_rate import SharedWindows
from interfaces.gateway.ratelimit import DECISIONS, RateLimit, serve
from kernel.ids import tenant_id_of
from tests.interfaces.gateway.test_gateway import the_problem
from tests.support.gateway import Mesh, an_application, mesh, started, until
from tests.support.servers import PrivateEnvoy, PrivateRedis, free_port
from tests.support.tokens import ISSUER, Issuer

pytestmark = pytest.mark.second_process

EXACT, TENANT = Limit(5, 600), Limit(40, 60)
EXPORT = f"/v1/payroll-runs/{uuid4()}/register"  # its caller may not, which is found after the count: 403
MAY_NOT = 403


@dataclass
class Gateways:
    """Two gateways and two rate-limit services over one Redis."""

    mesh: Mesh
    envoys: list[PrivateEnvoy]
    counts: list[Running]
    redis: PrivateRedis
    issuer: Issuer
    https: list[httpx.AsyncClient]

    def bearer(self, tenant: str) -> dict[str, str]:
        self.issuer.now = time.time()
        return {"Authorization": f"Bearer {self.issuer.token(tenant=str(tenant_id_of(tenant)))}"}

    async def exports(self, tenant: str, times: int) -> list[httpx.Response]:
        """So many exports at once, over both gateways by turns."""
        headers = self.bearer(tenant)
        return await asyncio.gather(*(self.https[n % 2].get(EXPORT, headers=headers) for n in range(times)))

    async def sign_ins(self, times: int) -> list[httpx.Response]:
        """So many tries to sign in at once, over both gateways by turns; 422 is one that was let in."""
        return await asyncio.gather(*(self.https[n % 2].post("/v1/token", json={}) for n in range(times)))


@pytest.fixture(scope="module")
async def gateways(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateways]:
    folder = tmp_path_factory.mktemp("limits")
    issuer = Issuer(now=time.time())
    rates = {**RATES, "TENANT": TENANT, "SIGN_IN": EXACT, "EXPORT": EXACT}
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(PrivateRedis())
        settings = Settings(
            data_dir=folder / "data", token_issuer=ISSUER, gateway_keys_fresh_s=1.0, rates=rates, redis_url=redis.url,
            ratelimit_timeout_s=4.0,
        )  # fmt: skip
        made = await stack.enter_async_context(mesh(folder, settings))
        await made.serve(an_application(issuer, settings))
        counts = [await serve(settings, Listener()) for _ in range(2)]
        for one in counts:
            made.register("ratelimit", one.address, "grpc")
        envoys = [await started(made.envoy()) for _ in range(2)]
        for envoy in envoys:
            stack.callback(envoy.close)
        https = [await stack.enter_async_context(httpx.AsyncClient(base_url=one.url, timeout=30.0)) for one in envoys]
        found = Gateways(made, envoys, counts, redis, issuer, https)
        for http in https:
            await until(partial(_counts, found, http))
        redis.flush()
        yield found
        for one in counts:
            await one.stop(0.0)


async def _counts(found: Gateways, http: httpx.AsyncClient) -> bool:
    try:
        answer = await http.get(EXPORT, headers=found.bearer(f"warm-{uuid4()}"))
    except httpx.HTTPError:
        return False
    return answer.status_code == MAY_NOT and "ratelimit-limit" in answer.headers


async def test_fifty_at_once_over_two_gateways_pass_exactly_five(gateways: Gateways) -> None:
    answers = await gateways.exports("fifty", 50)

    assert Counter(one.status_code for one in answers) == {MAY_NOT: 5, 429: 45}
    for one in answers:
        assert one.headers["ratelimit-limit"] == "5"
        assert int(one.headers["ratelimit-reset"]) <= 600
        if one.status_code == 429:
            the_problem(one, 429, "TOO_MANY_REQUESTS")
            assert 500 < int(one.headers["retry-after"]) <= 600
            assert one.headers["ratelimit-remaining"] == "0"
    assert sorted(int(one.headers["ratelimit-remaining"]) for one in answers if one.status_code == MAY_NOT) == [
        0,
        1,
        2,
        3,
        4,
    ]


async def test_one_companys_exports_take_nothing_from_anothers(gateways: Gateways) -> None:
    await gateways.exports("greedy", 20)

    others = await gateways.exports("modest", 5)

    assert {one.status_code for one in others} == {MAY_NOT}


async def test_signing_in_is_counted_by_address_over_all_gateways(gateways: Gateways) -> None:
    gateways.redis.flush()

    answers = await gateways.sign_ins(50)

    assert Counter(one.status_code for one in answers) == {422: 5, 429: 45}


async def test_a_company_over_its_quota_is_told_and_hurts_nobody(gateways: Gateways) -> None:
    http = gateways.https[0]
    noisy, quiet = gateways.bearer("noisy"), gateways.bearer("quiet")
    began = time.monotonic()

    loud = [http.get("/v1/nothing", headers=noisy) for _ in range(100)]
    soft = [http.get("/v1/nothing", headers=quiet) for _ in range(20)]
    answers = await asyncio.gather(*loud, *soft)

    refilled = (time.monotonic() - began) * TENANT.count / TENANT.window_s + 1
    statuses = Counter(one.status_code for one in answers[:100])
    assert TENANT.count <= statuses[404] <= TENANT.count + refilled
    assert statuses[404] + statuses[429] == 100
    assert {one.status_code for one in answers[100:]} == {404}
    refused = next(one for one in answers if one.status_code == 429)
    the_problem(refused, 429, "TOO_MANY_REQUESTS")
    assert refused.headers["ratelimit-limit"] == str(TENANT.count)
    assert refused.headers["retry-after"] == "1"


async def test_without_redis_exports_pass_and_signing_in_stays_limited(gateways: Gateways) -> None:
    before = _decided("open")
    gateways.redis.kill()
    try:
        began = time.monotonic()
        exports = await gateways.exports("no-redis", 20)
        signing = await gateways.sign_ins(40)
        took_s = time.monotonic() - began
    finally:
        gateways.redis.start()

    assert {one.status_code for one in exports} == {MAY_NOT}
    assert Counter(one.status_code for one in signing)[422] <= 2 * EXACT.count  # each gateway has a count of its own
    assert took_s < 15.0
    assert _decided("open") - before == 20
    await until(lambda: _counts(gateways, gateways.https[0]))


async def test_a_service_without_redis_counts_sign_ins_itself() -> None:
    shared = SharedWindows(f"redis://127.0.0.1:{free_port()}/0", within_s=1.0)
    service = RateLimit(shared, {rate: EXACT for rate in RateClass if rate.exact})
    request = rls_pb2.RateLimitRequest(domain="muster")
    asked = request.descriptors.add()
    asked.entries.add(key="class", value="SIGN_IN")
    asked.entries.add(key="remote_address", value="192.0.2.7")
    before = _decided("local")

    answers = [await service.ShouldRateLimit(request, None) for _ in range(8)]

    ok, over = rls_pb2.RateLimitResponse.OK, rls_pb2.RateLimitResponse.OVER_LIMIT
    assert [one.overall_code for one in answers] == [ok] * 5 + [over] * 3
    assert _decided("local") - before == 8
    await shared.close()


@pytest.mark.parametrize("entries", [{}, {"class": "TENANT", "tenant": "a"}, {"class": "EXPORT"}, {"tenant": "a"}])
async def test_what_is_no_count_of_ours_passes_without_a_question(entries: dict[str, str]) -> None:
    shared = SharedWindows(f"redis://127.0.0.1:{free_port()}/0", within_s=1.0)
    service = RateLimit(shared, {rate: Limit(1, 60) for rate in RateClass if rate.exact})
    request = rls_pb2.RateLimitRequest(domain="muster")
    descriptor = request.descriptors.add()
    for key, value in entries.items():
        descriptor.entries.add(key=key, value=value)

    answers = [await service.ShouldRateLimit(request, None) for _ in range(3)]

    assert {one.overall_code for one in answers} == {rls_pb2.RateLimitResponse.OK}
    await shared.close()


async def test_without_the_service_exports_pass_and_each_gateway_limits_signing_in(gateways: Gateways) -> None:
    settings = replace(gateways.mesh.settings, ratelimit_timeout_s=0.1)
    lonely = Mesh(gateways.mesh.folder / "lonely", settings)
    await lonely.start_control_plane()
    await lonely.serve(an_application(gateways.issuer, settings))
    envoy = await started(lonely.envoy())
    try:
        async with httpx.AsyncClient(base_url=envoy.url, timeout=20.0) as http:
            await until(lambda: _may_not(gateways, http))

            exports = [await http.get(EXPORT, headers=gateways.bearer("no-service")) for _ in range(10)]
            signing = [await http.post("/v1/token", json={}) for _ in range(20)]

            assert {one.status_code for one in exports} == {MAY_NOT}
            assert Counter(one.status_code for one in signing) == {422: 5, 429: 15}
            refused = the_problem(signing[-1], 429, "TOO_MANY_REQUESTS")
            assert signing[-1].headers["retry-after"] == "120"
            assert refused["type"] == "/problems/TOO_MANY_REQUESTS"
            assert envoy.counter("cluster.ratelimit.ratelimit.failure_mode_allowed") >= 0
    finally:
        envoy.close()
        await lonely.close()


async def _may_not(found: Gateways, http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get(EXPORT, headers=found.bearer("warm"))).status_code == MAY_NOT
    except httpx.HTTPError:
        return False


def _decided(outcome: str) -> float:
    return sum(
        sample.value
        for metric in DECISIONS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels.get("outcome") == outcome
    )
