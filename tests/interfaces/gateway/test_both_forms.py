"""The gateway and the embedded form enforce one policy: whatever is tried, both give the same status and reason."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from application.access.table import ROLES
from application.app import operations
from application.edge.endpoint import Endpoint
from application.edge.operation import RateClass
from chassis.lifecycle import Lifecycle, Listener, serve_http
from chassis.rate_limit import Limit
from chassis.settings import RATES, Settings
from interfaces.gateway.policy import Row, table
from interfaces.gateway.ratelimit import serve
from tests.interfaces.gateway.test_gateway import SPOOFED
from tests.support.gateway import an_application, mesh, started, until
from tests.support.servers import PrivateRedis
from tests.support.tokens import ISSUER, Issuer

pytestmark = pytest.mark.second_process

LIMITS = {
    **RATES,
    "TENANT": Limit(2, 3600),
    "EXPORT": Limit(1, 3600),
    "BULK": Limit(1, 3600),
    "SIGN_IN": Limit(60, 3600),
}
OPERATIONS = {(method, route.path_format): route for route in operations() for method in route.methods or ()}
HAVE_BODIES = {key for key, route in OPERATIONS.items() if Endpoint(route).has_body}
ROWS = [row for row in table() if (row.method, row.path) in OPERATIONS]

Answer = tuple[int, str, str]  # status, reason, Retry-After


@dataclass
class Forms:
    """The same operations behind a gateway, and with the gateway's policy in the process."""

    gateway_port: int
    embedded_port: int
    issuer: Issuer
    body_bytes: int
    careless_port: int  # the embedded form without the policy

    def bearer(self) -> dict[str, str]:
        """Of a company of its own, which has asked for nothing yet; of somebody who may do everything."""
        self.issuer.now = time.time()
        token = self.issuer.token(tenant=str(uuid4()), roles=sorted(ROLES))
        return {"Authorization": f"Bearer {token}"}

    async def both(
        self, row: Row, headers: Mapping[str, str], body: bytes = b"", path: str = ""
    ) -> tuple[Answer, Answer]:
        """What the gateway and the embedded form answer."""
        target = path or re.sub(r"\{[a-z_]+\}", str(uuid4()), row.path)
        return await ask(self.gateway_port, row.method, target, headers, body), await ask(
            self.embedded_port, row.method, target, headers, body
        )


async def ask(port: int, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{method} {path} HTTP/1.1", "Host: muster", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)  # not to the end: Envoy lingers for a second
        text = await reader.readexactly(int(length[1])) if length else b""
    finally:
        writer.close()
    status = int(head.split()[1])
    reason = ""
    if b"problem+json" in head:
        reason = json.loads(text[text.index(b"{") : text.rindex(b"}") + 1])["reason"]
    after = re.search(rb"(?i)\r\nretry-after: *([0-9]+)", head)
    return status, reason, after[1].decode() if after else ""


@pytest.fixture(scope="module")
async def forms(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Forms]:
    folder = tmp_path_factory.mktemp("forms")
    issuer = Issuer(now=time.time())
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(PrivateRedis())
        settings = Settings(
            data_dir=folder / "data", token_issuer=ISSUER, gateway_keys_fresh_s=1.0, rates=LIMITS, redis_url=redis.url,
            ratelimit_timeout_s=4.0,
        )  # fmt: skip
        lifecycle = await stack.enter_async_context(Lifecycle(grace_s=1.0))
        made = await stack.enter_async_context(mesh(folder, settings))
        await made.serve(an_application(issuer, settings))
        count = await lifecycle.start(serve(settings, Listener()))
        made.register("ratelimit", count.address, "grpc")
        twin = an_application(issuer, replace(settings, rates_at_edge=True))
        embedded = await lifecycle.start(serve_http(twin, Listener(), settings, lifespan=False))
        careless = await lifecycle.start(
            serve_http(an_application(issuer, settings), Listener(), settings, lifespan=False)
        )
        envoy = await started(made.envoy())
        stack.callback(envoy.close)
        ports = [int(one.address.rpartition(":")[2]) for one in (embedded, careless)]
        found = Forms(envoy.port, ports[0], issuer, settings.body_bytes, ports[1])
        [export] = [row for row in ROWS if row.name == "pay.export_register"]

        async def counts() -> bool:
            headers = found.bearer()
            answers = [await ask(envoy.port, "GET", export.path, headers, b"") for _ in range(2)]
            return [status for status, _, _ in answers] == [422, 429]

        await until(counts)
        yield found


async def differences(forms: Forms, probe: str) -> list[str]:
    """The rows at which the two answer differently, and both answers."""
    found = []
    for row in ROWS:
        answers = await PROBES[probe](forms, row)
        found += [f"{row.method} {row.path}: {one} and {other}" for one, other in answers if one != other]
    return found


async def _no_token(forms: Forms, row: Row) -> list[tuple[Answer, Answer]]:
    answers = await forms.both(row, {})
    assert row.public or answers[0][:2] == (401, "UNAUTHENTICATED")
    return [answers]


async def _bad_token(forms: Forms, row: Row) -> list[tuple[Answer, Answer]]:
    good = forms.bearer()["Authorization"]
    answers = [await forms.both(row, {"Authorization": value}) for value in (good[:-4], "Bearer x", "Basic eA==")]
    assert row.public or all(one[0][:2] == (401, "UNAUTHENTICATED") for one in answers)
    return answers


async def _good_token(forms: Forms, row: Row) -> list[tuple[Answer, Answer]]:
    return [await forms.both(row, forms.bearer())]


async def _spoofed(forms: Forms, row: Row) -> list[tuple[Answer, Answer]]:
    plain = await forms.both(row, {})
    spoofed = await forms.both(row, SPOOFED)
    twins = await forms.both(row, {**forms.bearer(), "x_tenant": "other"})
    assert plain == spoofed
    assert twins[0][:2] == (400, "AMBIGUOUS_REQUEST")
    return [spoofed, twins]


async def _body_too_large(forms: Forms, row: Row) -> list[tuple[Answer, Answer]]:
    if (row.method, row.path) not in HAVE_BODIES:
        return []
    body = b" " * ((row.body_bytes or forms.body_bytes) + 1)
    answers = await forms.both(row, {**forms.bearer(), "Content-Type": "application/json"}, body)
    assert answers[0][:2] == (413, "BODY_TOO_LARGE")
    return [answers]


async def _encoded_slash(forms: Forms, row: Row) -> list[tuple[Answer, Answer]]:
    answers = [
        await forms.both(row, forms.bearer(), path=path)
        for path in (f"{row.path}%2fx", f"/v1%2F..{row.path}", f"{row.path}%5c")
    ]
    assert all(one[0][:2] == (400, "AMBIGUOUS_REQUEST") for one in answers)
    return answers


async def _over_the_limit(forms: Forms, row: Row) -> list[tuple[Answer, Answer]]:
    if row.public:
        return []
    headers = forms.bearer()
    allowed = min(LIMITS[row.rate.value].count, LIMITS["TENANT"].count)
    answers = [await forms.both(row, headers) for _ in range(allowed + 1)]
    assert all(one[0][0] != 429 for one in answers[:-1])
    assert answers[-1][0][:2] == (429, "TOO_MANY_REQUESTS")
    return [(_roughly(one), _roughly(other)) for one, other in answers]


def _roughly(answer: Answer) -> Answer:
    """When to try again may differ by the second in which one asks; that it is said may not."""
    return answer[0], answer[1], "later" if answer[2] else ""


PROBES = {
    "no token": _no_token,
    "a bad token": _bad_token,
    "a good token": _good_token,
    "identity headers of the client's own": _spoofed,
    "a body too large": _body_too_large,
    "an encoded slash": _encoded_slash,
    "one request too many": _over_the_limit,
}


@pytest.mark.parametrize("probe", PROBES)
async def test_both_forms_answer_the_same(forms: Forms, probe: str) -> None:
    assert await differences(forms, probe) == []


async def test_a_form_that_does_not_count_would_be_seen(forms: Forms) -> None:
    careless = replace(forms, embedded_port=forms.careless_port)

    assert len(await differences(careless, "one request too many")) == len([row for row in ROWS if not row.public])


async def test_both_forms_end_guessing_at_the_same_try(forms: Forms) -> None:
    [sign_in] = [row for row in ROWS if row.path == "/v1/token"]
    limited = []
    for port in (forms.gateway_port, forms.embedded_port):
        tries = 0
        while (await ask(port, "POST", sign_in.path, {}, b""))[0] != 429:
            tries += 1
            assert tries <= LIMITS[RateClass.SIGN_IN.value].count
        limited.append(await ask(port, "POST", sign_in.path, {}, b""))

    assert [one[:2] for one in limited] == [(429, "TOO_MANY_REQUESTS")] * 2
