"""What a real Envoy with the generated configuration lets through, turns away and says."""

import asyncio
import json
import os
import time
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from kernel.ids import tenant_id_of
from tests.interfaces.gateway.conftest import Edge
from tests.support.gateway import started, until
from tests.support.servers import PrivateEnvoy
from tests.support.tokens import FORGERIES

pytestmark = pytest.mark.second_process

CHANGES = int(os.environ.get("GATEWAY_CHANGES", "10"))
TOO_LONG = {"a million characters", "a million dots"}  # Envoy stops reading: 431
NO_HEADER = {
    "nothing",
    "a line break at the end",
    "letters outside ASCII",
    "half of a letter",
}  # what HTTP does not carry
OUTSIDE_NOW = {"not valid yet": +5, "issued in the future": +5, "expired": -5}  # seconds that the test may take
SPOOFED = {
    "x-tenant": "other",
    "x-tenant-id": "other",
    "x-user-id": "7",
    "x-user": "7",
    "x-roles": "owner",
    "x-muster-principal": "owner",
    "x-envoy-original-path": "/v1/token",
    "x-envoy-retry-on": "5xx",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-jwt-payload": "e30",
    "x-consumer-id": "7",
}


def the_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["reason"] == reason
    assert document["status"] == status
    assert set(document) == {"type", "title", "status", "detail", "instance", "reason", "errors"}
    assert response.headers["x-request-id"] in document["instance"]
    assert "envoy" not in response.text.lower() + json.dumps(dict(response.headers)).lower()
    return document


@pytest.mark.parametrize("name", [name for name in FORGERIES if name not in NO_HEADER])
async def test_a_forged_token_is_refused(edge: Edge, name: str) -> None:
    edge.issuer.now = time.time() + OUTSIDE_NOW.get(name, 0)
    token = FORGERIES[name](edge.issuer)

    response = await edge.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == (431 if name in TOO_LONG else 401), response.text


@pytest.mark.parametrize("name", sorted(NO_HEADER))
async def test_a_forged_token_that_http_does_not_carry_is_refused(edge: Edge, name: str) -> None:
    edge.issuer.now = time.time()
    token = FORGERIES[name](edge.issuer).encode("utf-8", "surrogatepass")
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.envoy.port)
    writer.write(b"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-After: y\r\nAuthorization: Bearer " + token + b"\r\n\r\n")

    status = (await reader.readline()).split()[1]
    writer.close()

    # A line break ends the header: the token before it is good, and what follows is no header.
    assert status in ((b"400", b"401", b"404") if name == "a line break at the end" else (b"400", b"401"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/me"),
        ("GET", "/v1/token"),
        ("PUT", "/v1/token"),
        ("POST", "/v1/token/"),
        ("POST", "/v1/tokens"),
        ("POST", "/V1/token"),
        ("POST", "/v1/token;x"),
        ("POST", "/.well-known/jwks.json"),
        ("GET", "/.well-known/jwks.json/x"),
        ("GET", "/docs/../v1/me"),
        ("GET", "/docs/./../v1/me"),
        ("GET", "/docs/%2e%2e/v1/me"),
        ("GET", "/docs/%2E%2E/v1/me"),
        ("GET", "/docs//../../v1/me"),
        ("GET", "/docs/a/b"),
        ("GET", "/problems/../v1/me"),
        ("GET", "/docs%2f..%2fv1%2fme"),
        ("GET", "/docs%5c..%5cv1%5cme"),
        ("GET", "/docs\\..\\v1\\me"),
        ("GET", "/livez/../v1/me"),
        ("GET", "/v1/stream"),
        ("GET", "/v1/ws"),
        ("GET", "/v1/echo/x"),
        ("GET", "/anything"),
        ("OPTIONS", "/v1/me"),
        ("TRACE", "/v1/me"),
        ("CONNECT", "/v1/ws"),
    ],
)
async def test_without_a_token_only_the_public_rows_are_open(edge: Edge, method: str, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.envoy.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())

    status = (await reader.readline()).split()[1]
    writer.close()

    assert status in (b"400", b"401", b"403", b"404")
    assert status != b"404" or method == "CONNECT"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/.well-known/jwks.json"])
async def test_the_public_rows_need_no_token(edge: Edge, path: str) -> None:
    assert (await edge.http.get(path)).status_code == 200


async def test_nobody_says_who_they_are_but_by_a_token(edge: Edge) -> None:
    twins = {name.replace("-", "_"): value for name, value in SPOOFED.items()}

    seen = await edge.http.get("/v1/echo/x", headers={**edge.bearer(), **SPOOFED})
    mixed = await edge.http.get("/v1/echo/x", headers={**edge.bearer(), **{k.title(): v for k, v in SPOOFED.items()}})

    for answer in (seen, mixed):
        arrived = {name for name, _ in answer.json()["headers"]}
        assert not arrived & set(SPOOFED)
        ours = {"x-envoy-external-address"}  # Envoy's own word for the client's address
        assert not [one for one in arrived - ours if one.startswith(("x-envoy", "x-muster", "x-tenant", "x-user"))]
        assert "authorization" in arrived  # the application verifies the token again
    for name, value in twins.items():
        the_problem(await edge.http.get("/v1/echo/x", headers={**edge.bearer(), name: value}), 400, "AMBIGUOUS_REQUEST")


async def test_a_gateway_that_takes_nothing_away_and_buffers_nothing_would_be_seen(edge: Edge) -> None:
    def careless(port: int, admin_port: int) -> dict[str, Any]:
        config = edge.envoy.program.configuration(port, admin_port)
        manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        del manager["early_header_mutation_extensions"]
        manager["common_http_protocol_options"]["headers_with_underscores_action"] = "ALLOW"
        manager["http_filters"] = [one for one in manager["http_filters"] if "buffer" not in one["name"]]
        return config

    envoy = await started(PrivateEnvoy(careless))
    try:
        async with httpx.AsyncClient(base_url=envoy.url, timeout=20.0) as http:
            await until(lambda: _echoes(http, edge))
            seen = await http.get("/v1/echo/x", headers={**edge.bearer(), **SPOOFED, "x_tenant": "other"})
            arrived = {name for name, _ in seen.json()["headers"]}
            assert {"x-tenant", "x-roles", "x-muster-principal", "x_tenant"} <= arrived

            _, writer = await asyncio.open_connection("127.0.0.1", envoy.port)
            token = edge.bearer()["Authorization"]
            head = f"POST /v1/echo/slow HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 9\r\n\r\nx"
            writer.write(head.encode())
            await until(lambda: envoy.counter("cluster.echo.upstream_rq_total") >= 2)
            writer.close()
    finally:
        envoy.close()


async def _echoes(http: httpx.AsyncClient, edge: Edge) -> bool:
    return (await http.get("/v1/echo/x", headers=edge.bearer())).status_code == 200


async def test_what_the_gateway_itself_answers_is_a_problem(edge: Edge) -> None:
    json_body = {"Content-Type": "application/json"}

    the_problem(await edge.http.get("/v1/me"), 401, "UNAUTHENTICATED")
    the_problem(await edge.http.get("/v1/me", headers=edge.bearer(aud="payroll")), 401, "UNAUTHENTICATED")
    the_problem(await edge.http.get("/v1/a%2fb", headers=edge.bearer()), 400, "AMBIGUOUS_REQUEST")
    the_problem(await edge.http.get("/v1/me", headers={"x-pad": "x" * 40_000}), 431, "HEADERS_TOO_LARGE")
    too_long = await edge.http.post("/v1/token", content=b" " * 5000, headers=json_body)
    the_problem(too_long, 413, "BODY_TOO_LARGE")
    too_long = await edge.http.post("/v1/punches", content=b" " * 1_100_000, headers={**json_body, **edge.bearer()})
    the_problem(too_long, 413, "BODY_TOO_LARGE")


async def test_a_body_that_a_row_allows_is_let_through(edge: Edge) -> None:
    large = await edge.http.post(
        "/v1/punches/batch", content=b" " * 2_000_000, headers={"Content-Type": "application/json", **edge.bearer()}
    )

    assert large.status_code != 413


async def test_an_id_of_the_client_is_kept_and_one_is_made_where_there_is_none(edge: Edge) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    kept = await edge.http.get("/v1/echo/x", headers={**edge.bearer(), "X-Request-Id": "abc-1", "traceparent": trace})
    made = await edge.http.get("/v1/echo/x", headers=edge.bearer())

    assert {("x-request-id", "abc-1"), ("traceparent", trace)} <= {tuple(pair) for pair in kept.json()["headers"]}
    assert len(dict(made.json()["headers"])["x-request-id"]) == 36


async def test_the_log_tells_of_a_request_without_its_secrets(edge: Edge) -> None:
    header = edge.bearer(tenant=str(tenant_id_of("logged")))
    token = header["Authorization"].partition(" ")[2]

    await edge.http.get(f"/v1/echo/log?access_token={token}&name=canary", headers=header)
    await edge.http.get("/v1/me?q=canary")
    offered = [Subprotocol("muster.v1"), Subprotocol(f"muster.bearer.{token}")]
    async with connect(f"ws://127.0.0.1:{edge.envoy.port}/v1/ws", subprotocols=offered) as one:
        await one.send("canary")
        await one.recv()
    await until(lambda: any(one["path"] == "/v1/ws" for one in edge.logged()))

    [line] = [one for one in edge.logged() if one["path"] == "/v1/echo/log"]
    assert (line["method"], line["status"], line["tenant_id"]) == ("GET", 200, str(tenant_id_of("logged")))
    assert {"time", "ms", "request_id", "upstream", "attempts", "operation", "client"} <= set(line)
    written = (edge.envoy.folder / "log").read_text()
    assert "canary" not in written
    assert token not in written


async def test_a_websocket_passes_with_its_token_in_the_subprotocol(edge: Edge) -> None:
    token = edge.bearer()["Authorization"].partition(" ")[2]
    url = f"ws://127.0.0.1:{edge.envoy.port}/v1/ws"
    offered = [Subprotocol("muster.v1"), Subprotocol(f"muster.bearer.{token}")]

    async with connect(url, subprotocols=offered) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
        assert socket.subprotocol == "muster.v1"
    async with connect(url, additional_headers=edge.bearer()) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
    for wrong in (["muster.v1"], ["muster.v1", "muster.bearer.x.y.z"], ["muster.v1", f"muster.bearer.{token[:-4]}"]):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, subprotocols=[Subprotocol(one) for one in wrong])
        assert refused.value.response.status_code == 401


async def test_events_come_one_by_one(edge: Edge) -> None:
    came = []
    async with edge.http.stream("GET", "/v1/stream", headers=edge.bearer()) as response:
        async for line in response.aiter_lines():
            came += [time.monotonic() - float(line[6:])] if line.startswith("data: ") else []

    assert len(came) == 3
    assert max(came) < 0.25  # none waited for the next, which is sent 0.3 s later


async def test_slow_bodies_reach_nobody_and_displace_nobody(edge: Edge) -> None:
    token = edge.bearer()["Authorization"]
    head = f"POST /v1/echo/slow HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 1000\r\n\r\nx"
    slow = [await asyncio.open_connection("127.0.0.1", edge.envoy.port) for _ in range(200)]
    for _, writer in slow:
        writer.write(head.encode())

    answers = [await edge.http.get("/v1/echo/x", headers={"Authorization": token}) for _ in range(50)]

    assert {answer.status_code for answer in answers} == {200}
    active = edge.envoy.counter("cluster.echo.upstream_rq_active")
    for _, writer in slow:
        writer.close()
    assert active == 0


async def test_a_request_with_two_meanings_is_refused(edge: Edge) -> None:
    token = edge.bearer()["Authorization"]
    bodies = {
        "CL and TE": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two CL": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "TE twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "TE in odd form": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "space before the colon": b"Content-Length : 3\r\n\r\nabc",
        "no number": b"Content-Length: 3x\r\n\r\nabc",
    }
    for name, rest in bodies.items():
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.envoy.port)
        writer.write(f"POST /v1/echo/x HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n".encode() + rest)
        status = (await reader.readline()).split()[1]
        writer.close()
        assert status in (b"400", b"501"), name


async def test_a_route_added_while_it_runs_works_within_a_second_and_disturbs_nobody(edge: Edge) -> None:
    failed, served = [], 0
    stop = asyncio.Event()

    async def ask() -> None:
        nonlocal served
        async with httpx.AsyncClient(base_url=edge.envoy.url, timeout=20.0) as http:
            while not stop.is_set():
                answer = await http.get("/v1/echo/x", headers=edge.bearer())
                served += 1
                if answer.status_code != 200:
                    failed.append(answer.text)

    asking = [asyncio.create_task(ask()) for _ in range(3)]
    [echo] = (await anext(edge.mesh.registry.watch()))["echo"]
    waits = []
    for number in range(CHANGES // 2):
        name = f"echo-{number}"
        registered = edge.mesh.register(name, echo.address, "http", (f"/v1/{name}",))
        waits.append(await seconds_until(edge, f"/v1/{name}/x", 200))
        await registered.close()
        waits.append(await seconds_until(edge, f"/v1/{name}/x", 404, 503))
    stop.set()
    await asyncio.gather(*asking)

    assert failed == []
    assert served > 50
    assert sorted(waits)[len(waits) // 2] < 1.0


async def seconds_until(edge: Edge, path: str, *statuses: int) -> float:
    """How long until the path answers so."""
    began = time.monotonic()

    async def answers() -> bool:
        return (await edge.http.get(path, headers=edge.bearer())).status_code in statuses

    await until(answers)
    return time.monotonic() - began
