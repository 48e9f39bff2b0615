"""One small application behind the whole edge: what it lets in, and what it answers to everything else."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Path, Query
from fastapi.routing import APIRoute
from pydantic import Field

from application.edge.application import Application
from application.edge.exchange import current_exchange
from application.edge.fields import Amount, Body, CivilDate, Code, Name, View, Whole
from application.edge.gate import Gate
from application.edge.operation import Criticality, IfMatch, RateClass
from application.edge.pages import AsOfQuery
from application.edge.rates import Rates
from application.edge.refusal import Unauthenticated
from application.edge.routes import Routes
from chassis.principal import Principal
from chassis.rate_limit import Limit
from chassis.rpc.channels import spending
from chassis.rpc.error_map import RemoteError, Trouble
from chassis.settings import RATES
from kernel.errors import DomainError, Kind, Stale
from kernel.ids import TenantId

TENANT = TenantId(UUID(int=7))
OWNER = {"Authorization": "Bearer owner"}
JSON = {"Content-Type": "application/json"}


class ThingBody(Body):
    """A thing."""

    name: Annotated[Name, Field(description="Name.")]
    size: Annotated[Whole, Field(description="Size.", ge=0, le=5)] = 1
    since: Annotated[CivilDate, Field(description="Since when.")]
    price: Annotated[Amount | None, Field(description="Price.")] = None


class ThingView(View):
    """A thing."""

    name: Annotated[str, Field(description="Name.", max_length=200)]
    request_id: Annotated[str, Field(description="Of the inner call.", max_length=36)] = ""
    fingerprint: Annotated[str, Field(description="Of the inner call.", max_length=64)] = ""


class Full(DomainError):
    """No more things."""

    kind, reason = Kind.RULE, "FULL"


things = Routes("things")
ThingCode = Annotated[Code, Path(description="The thing.")]
waiting = asyncio.Event()


@things.post("/v1/things", "employee.hire", tag="things", status=201)
async def make_thing(body: ThingBody) -> ThingView:
    """Make a thing."""
    exchange = current_exchange()
    assert exchange.fingerprint is not None
    return ThingView(name=body.name, request_id=str(exchange.request_id), fingerprint=exchange.fingerprint.hex())


@things.put("/v1/things/{code}", "employee.hire", tag="things", if_match=IfMatch.REQUIRED)
async def put_thing(code: ThingCode, body: ThingBody) -> ThingView:
    """Change a thing."""
    if current_exchange().if_match != "3":
        raise Stale("read it again", field="etag")
    return ThingView(name=code)


@things.get("/v1/things/{code}", "employee.read", tag="things")
async def get_thing(code: ThingCode, query: Annotated[AsOfQuery, Query()]) -> ThingView:
    """A thing, or one of several troubles."""
    trouble: dict[str, Any] = {
        "bug": ZeroDivisionError("secret text"),
        "full": Full("wait until one is removed", room=0),
        "away": RemoteError.of(Trouble.UNAVAILABLE),
        "slow": RemoteError.of(Trouble.TIMEOUT),
        "busy": RemoteError.of(Trouble.OVERLOADED),
        "hidden": RemoteError(Kind.NOT_FOUND, "THING_NOT_FOUND", "thing of tenant 12 is not yours"),
        "broken": RemoteError(Trouble.INTERNAL, "INTERNAL", "x", facts={"incident": "inc-1"}),
    }
    if code in trouble:
        raise trouble[code]
    if code == "wait":
        await waiting.wait()
    return ThingView(name=code)


@things.get("/v1/reports", "employee.read", tag="things", criticality=Criticality.DEFERRABLE)
async def get_report() -> ThingView:
    """Something that can wait."""
    await waiting.wait()
    return ThingView(name="report")


@things.get("/v1/urgent", "employee.read", tag="things", criticality=Criticality.CRITICAL)
async def get_urgent() -> ThingView:
    """Something that cannot wait."""
    return ThingView(name="urgent")


@things.post("/v1/imports", "employee.hire", tag="things", rate=RateClass.BULK)
async def import_things() -> ThingView:
    """Many at once."""
    return ThingView(name="many")


@things.get("/v1/budget", "employee.read", tag="things")
async def get_budget() -> ThingView:
    """What its calls may spend."""
    with spending(100.0) as inner:
        return ThingView(name=f"{inner.deadline - asyncio.get_running_loop().time():.0f} s")


class ByName:
    """Takes the token for the role."""

    async def principal(self, token: str) -> Principal:
        if token == "nobody":
            raise Unauthenticated("sign in again")
        return self.remembered(token)

    def remembered(self, token: str) -> Principal:
        return Principal(TENANT, f"account-{token}", frozenset({token}))


def the_app(*, deadline_s: float = 5.0, places: int = 8, rates: Rates | None = None) -> Application:
    gate = Gate(ByName(), body_bytes=1000, places=places, rates=rates)
    operations = [route for route in things.router.routes if isinstance(route, APIRoute)]
    app = Application(operations, [], gate, deadline_s=deadline_s)
    app.state.gate = gate
    return app


def a_client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://muster")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with a_client(the_app()) as found:
        yield found


GOOD = {"name": "rope", "since": "2026-01-01"}


def the_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["reason"] == reason
    assert document["status"] == status
    assert set(document) >= {"type", "title", "status", "detail", "instance", "reason", "errors"}
    assert response.headers["x-request-id"] in document["instance"]
    return document


async def test_a_request_has_time_of_its_own_in_the_context_of_one_that_is_over(client: httpx.AsyncClient) -> None:
    with spending(-1.0):  # as where a connection goes on to read in the context of the request that paused it
        response = await client.get("/v1/budget", headers=OWNER)

    assert response.json()["name"] == "5 s"


async def test_a_good_request_is_served(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/things", headers=OWNER, json=GOOD)

    assert response.status_code == 201
    assert response.json()["name"] == "rope"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Basic x"}, {"Authorization": "Bearer "}, {"Authorization": "Bearer nobody"}]
)
async def test_without_a_good_token_nothing_is_read(client: httpx.AsyncClient, header: dict[str, str]) -> None:
    response = await client.post("/v1/things", headers=header | JSON, content=b"{not even json")

    the_problem(response, 401, "UNAUTHENTICATED")


async def test_a_role_that_may_not_is_turned_away_before_the_body_is_read(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/things", headers={"Authorization": "Bearer device"} | JSON, content=b"{not json")

    the_problem(response, 403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("content", "headers", "status", "reason"),
    [
        (b'{"a": NaN}', JSON, 400, "UNREADABLE_BODY"),
        (b'{"name": 1e400}', JSON, 400, "UNREADABLE_BODY"),
        (b'{"name": "\\ud800"}', JSON, 400, "UNREADABLE_BODY"),
        (b'{"name": "a", "name": "b"}', JSON, 400, "UNREADABLE_BODY"),
        (b"[" * 33 + b"]" * 33, JSON, 400, "UNREADABLE_BODY"),
        (b"9" * 31, JSON, 400, "UNREADABLE_BODY"),
        (b'{"name": "\xff"}', JSON, 400, "UNREADABLE_BODY"),
        (b'"' + b"x" * 1000 + b'"', JSON, 413, "BODY_TOO_LARGE"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", {"Content-Type": "application/json; charset=utf-16"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", {}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", JSON | {"Content-Encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"", JSON, 422, "INVALID_REQUEST"),
        (b"[]", JSON, 422, "INVALID_REQUEST"),
        (b"{}", JSON | {"Content-Length": "7"}, 400, "UNREADABLE_BODY"),
        (b"{}", JSON | {"Content-Length": "two"}, 400, "AMBIGUOUS_REQUEST"),
        (b"{}", JSON | {"Content-Length": "99999999999"}, 413, "BODY_TOO_LARGE"),
        (b"{}", JSON | {"Idempotency-Key": ""}, 422, "INVALID_HEADER"),
        (b"{}", JSON | {"Idempotency-Key": "x" * 256}, 422, "INVALID_HEADER"),
        (b"{}", JSON | {"Idempotency-Key": "\x01"}, 422, "INVALID_HEADER"),
        (b"{}", JSON | {"X-Request-Timeout-Ms": "soon"}, 422, "INVALID_HEADER"),
        (b"{}", JSON | {"X-Padding": "x" * 40_000}, 431, "HEADERS_TOO_LARGE"),
    ],
)  # fmt: skip
async def test_a_request_that_cannot_be_trusted_is_refused(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    response = await client.post("/v1/things", headers=OWNER | headers, content=content)

    the_problem(response, status, reason)


async def test_a_body_in_chunks_is_cut_at_the_limit(client: httpx.AsyncClient) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 100

    response = await client.post("/v1/things", headers=OWNER | JSON, content=endless())

    the_problem(response, 413, "BODY_TOO_LARGE")
    assert read < 20


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer owner"), ("Authorization", "Bearer employee")],
        [("Authorization", "Bearer owner"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
        [("Authorization", "Bearer owner"), ("Content-Type", "application/json"), ("Content-Type", "text/plain")],
    ],
)
async def test_a_header_with_two_values_has_no_meaning(
    client: httpx.AsyncClient, headers: list[tuple[str, str]]
) -> None:
    response = await client.post("/v1/things", headers=headers, content=b"{}")

    the_problem(response, 400, "AMBIGUOUS_REQUEST")


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/v1/things/rope?as_of=2026-01-01&as_of=2026-01-02", 400, "AMBIGUOUS_REQUEST"),
        ("/v1/things/a%2Fb", 400, "AMBIGUOUS_REQUEST"),
        ("/v1/things/%2e%2e", 400, "AMBIGUOUS_REQUEST"),
        ("/v1/things/%00", 400, "AMBIGUOUS_REQUEST"),
        ("/v1/things/rope?asof=2026-01-01", 422, "INVALID_REQUEST"),
        ("/v1/things/rope?as_of=2026-02-30", 422, "INVALID_REQUEST"),
        ("/v1/things/rope?as_of=0001-01-01", 422, "INVALID_REQUEST"),
        ("/v1/things/rope?known_at=9999-12-31T23:59:59-23:59", 422, "INVALID_REQUEST"),
        ("/v1/things/rope?known_at=2026-01-01", 422, "INVALID_REQUEST"),
        ("/v1/things/" + "x" * 41, 422, "INVALID_REQUEST"),
        ("/v1/things/rope?as_of=" + "x" * 9000, 414, "ADDRESS_TOO_LONG"),
        ("/v1/nothing", 404, "NOT_FOUND"),
        ("/v1/things/", 404, "NOT_FOUND"),
        ("//v1/things/rope", 404, "NOT_FOUND"),
    ],
)
async def test_an_address_has_one_meaning(client: httpx.AsyncClient, path: str, status: int, reason: str) -> None:
    response = await client.get("http://muster" + path, headers=OWNER)

    the_problem(response, status, reason)


async def test_another_method_is_told_which_ones_there_are(client: httpx.AsyncClient) -> None:
    response = await client.delete("/v1/things/rope", headers=OWNER)

    the_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, PUT"


async def test_every_field_at_fault_is_named_and_no_value_is_repeated(client: httpx.AsyncClient) -> None:
    body = {
        "name": "x" * 300 + "canary",
        "size": 9,
        "since": "canary",
        "price": {"amount": "1.001", "currency": "CNY"},
        "canary <script>": 1,
        "colour": "canary",
    }

    response = await client.post("/v1/things", headers=OWNER, json=body)

    problem = the_problem(response, 422, "INVALID_REQUEST")
    assert {(one["field"], one["reason"]) for one in problem["errors"]} == {
        ("name", "TOO_LONG"),
        ("size", "OUT_OF_BOUNDS"),
        ("since", "WRONG_FORM"),
        ("price", "WRONG_FORM"),
        ("?", "UNKNOWN_FIELD"),
        ("colour", "UNKNOWN_FIELD"),
    }
    assert "canary" not in response.text


@pytest.mark.parametrize("wrong", [True, 1.0, "1", None, [], {}])
async def test_a_number_is_a_number(client: httpx.AsyncClient, wrong: object) -> None:
    response = await client.post("/v1/things", headers=OWNER, json=GOOD | {"size": wrong})

    assert the_problem(response, 422, "INVALID_REQUEST")["errors"][0]["field"] == "size"


@pytest.mark.parametrize("wrong", [1767225600, "1767225600", "2026-1-1", "2026-01-01T00:00:00", "20260101", True])
async def test_a_date_is_a_date(client: httpx.AsyncClient, wrong: object) -> None:
    response = await client.post("/v1/things", headers=OWNER, json=GOOD | {"since": wrong})

    assert the_problem(response, 422, "INVALID_REQUEST")["errors"][0]["field"] == "since"


@pytest.mark.parametrize(
    ("code", "status", "reason", "retry"),
    [
        ("full", 409, "FULL", None),
        ("away", 503, "UNAVAILABLE", "1"),
        ("slow", 504, "TIMEOUT", "1"),
        ("busy", 429, "OVERLOADED", "1"),
        ("hidden", 404, "THING_NOT_FOUND", None),
        ("broken", 500, "INTERNAL", None),
        ("bug", 500, "INTERNAL", None),
    ],
)
async def test_every_trouble_is_a_problem(
    client: httpx.AsyncClient, code: str, status: int, reason: str, retry: str | None
) -> None:
    response = await client.get(f"/v1/things/{code}", headers=OWNER)

    the_problem(response, status, reason)
    assert response.headers.get("retry-after") == retry
    assert "secret" not in response.text
    assert "tenant 12" not in response.text


async def test_the_client_may_ask_for_a_shorter_wait() -> None:
    async with a_client(the_app()) as client:
        started = asyncio.get_running_loop().time()

        response = await client.get("/v1/things/wait", headers=OWNER | {"X-Request-Timeout-Ms": "100"})

    the_problem(response, 504, "DEADLINE_EXCEEDED")
    assert asyncio.get_running_loop().time() - started < 1.0


async def test_a_change_to_a_versioned_thing_needs_the_version(client: httpx.AsyncClient) -> None:
    missing = await client.put("/v1/things/rope", headers=OWNER, json=GOOD)
    odd = await client.put("/v1/things/rope", headers=OWNER | {"If-Match": "3"}, json=GOOD)
    weak = await client.put("/v1/things/rope", headers=OWNER | {"If-Match": 'W/"3"'}, json=GOOD)
    stale = await client.put("/v1/things/rope", headers=OWNER | {"If-Match": '"2"'}, json=GOOD)
    right = await client.put("/v1/things/rope", headers=OWNER | {"If-Match": '"3"'}, json=GOOD)

    the_problem(missing, 428, "IF_MATCH_MISSING")
    the_problem(odd, 422, "INVALID_HEADER")
    the_problem(weak, 422, "INVALID_HEADER")
    # Inside it is an etag; the client sent If-Match.
    assert [one["field"] for one in the_problem(stale, 412, "STALE_VERSION")["errors"]] == ["If-Match"]
    assert right.status_code == 200


async def test_a_key_names_one_effect_of_one_principal(client: httpx.AsyncClient) -> None:
    async def made(role: str, key: str | None, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {role}"} | ({"Idempotency-Key": key} if key else {})
        found: dict[str, Any] = (await client.post("/v1/things", headers=headers, json=body)).json()
        return found

    first = await made("owner", "k", GOOD)
    again = await made("owner", "k", dict(reversed(list(GOOD.items()))))
    other_body = await made("owner", "k", GOOD | {"size": 2})
    other_key = await made("owner", "K", GOOD)
    other_person = await made("hr_admin", "k", GOOD)
    without = [await made("owner", None, GOOD) for _ in range(2)]

    assert again == first
    assert other_body["request_id"] == first["request_id"]
    assert other_body["fingerprint"] != first["fingerprint"]
    ids = {one["request_id"] for one in (first, other_key, other_person, *without)}
    assert len(ids) == 5


async def test_the_names_of_a_request_are_kept_or_made(client: httpx.AsyncClient) -> None:
    kept = await client.get("/v1/things/rope", headers=OWNER | {"X-Request-Id": "abc-1"})
    odd = await client.get("/v1/things/rope", headers=OWNER | {"X-Request-Id": "a b\t<x>"})
    missing = await client.get("/v1/things/rope", headers=OWNER)

    assert kept.headers["x-request-id"] == "abc-1"
    assert odd.headers["x-request-id"] not in ("", "a b\t<x>")
    assert missing.headers["x-request-id"]


async def test_too_much_at_once_is_refused_and_the_important_goes_first() -> None:
    waiting.clear()
    app = the_app(places=4)
    async with a_client(app) as client:
        reports = [asyncio.create_task(client.get("/v1/reports", headers=OWNER)) for _ in range(2)]
        await asyncio.sleep(0.05)

        third_report = await client.get("/v1/reports", headers=OWNER)
        others = [asyncio.create_task(client.get("/v1/things/wait", headers=OWNER)) for _ in range(2)]
        await asyncio.sleep(0.05)
        fifth = await client.get("/v1/things/rope", headers=OWNER)
        urgent = await client.get("/v1/urgent", headers=OWNER)
        waiting.set()
        served = await asyncio.gather(*reports, *others)
        after = await client.get("/v1/things/rope", headers=OWNER)

    the_problem(third_report, 503, "OVERLOADED")
    the_problem(fifth, 503, "OVERLOADED")
    assert fifth.headers["retry-after"] == "1"
    assert urgent.status_code == 200
    assert [one.status_code for one in served] == [200] * 4
    assert after.status_code == 200
    assert app.state.gate.admission.in_flight == 0


async def the_outcome(stays: bool) -> tuple[list[int], bool]:
    """What an endpoint that waits for ever answers a client that goes away or stays; whether it had to be ended."""
    waiting.clear()
    app, sent = the_app(deadline_s=5.0), []
    messages = asyncio.Queue[dict[str, Any]]()
    messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    if not stays:
        messages.put_nowait({"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.extend([message["status"]] if "status" in message else [])

    scope = {
        "type": "http", "method": "GET", "path": "/v1/things/wait", "raw_path": b"/v1/things/wait",
        "query_string": b"", "headers": [(b"authorization", b"Bearer owner")],
    }  # fmt: skip
    serving = asyncio.create_task(app(scope, messages.get, send))
    done, _ = await asyncio.wait({serving}, timeout=1.0)
    waiting.set()
    await serving
    assert app.state.gate.admission.in_flight == 0
    return sent, not done


async def test_what_is_done_for_a_client_that_went_away_is_given_up() -> None:
    assert await the_outcome(stays=False) == ([499], False)


async def test_what_is_done_for_a_client_that_stays_goes_on() -> None:
    assert await the_outcome(stays=True) == ([200], True)


async def test_background_work_gives_way_while_somebody_waits_for_an_answer() -> None:
    waiting.clear()
    app = the_app(places=4)
    lull = app.state.gate.admission.lull
    async with a_client(app) as client:
        report = asyncio.create_task(client.get("/v1/reports", headers=OWNER))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(lull(10.0), 0.5)  # nobody waits for a report

        request = asyncio.create_task(client.get("/v1/things/wait", headers=OWNER))
        await asyncio.sleep(0.05)
        background = asyncio.create_task(lull(10.0))
        gave_up = asyncio.create_task(lull(0.01))
        await asyncio.sleep(0.1)
        still_waiting, tired = not background.done(), gave_up.done()
        waiting.set()
        await asyncio.gather(report, request)
        await asyncio.wait_for(background, 0.5)

    assert still_waiting
    assert tired


def test_the_title_is_the_reason_in_words() -> None:
    from application.edge.problem import problem_response

    response = problem_response(409, "TIMESHEET_NOT_READY", "close it first", trace_id="t")

    assert json.loads(bytes(response.body))["title"] == "Timesheet not ready"


async def test_without_a_gateway_the_process_counts_itself() -> None:
    rates = Rates({**RATES, "TENANT": Limit(3, 60), "BULK": Limit(1, 60)})
    async with a_client(the_app(rates=rates)) as client:
        first = await client.post("/v1/imports", headers=OWNER)
        second = await client.post("/v1/imports", headers=OWNER)
        read = await client.get("/v1/urgent", headers=OWNER)
        over = await client.get("/v1/urgent", headers=OWNER)
        nobody = await client.get("/v1/urgent", headers={"Authorization": "Bearer nobody"})

    assert (first.status_code, first.headers["ratelimit-remaining"]) == (200, "0")
    the_problem(second, 429, "TOO_MANY_REQUESTS")
    assert (second.headers["ratelimit-limit"], second.headers["retry-after"]) == ("1", "60")
    assert read.status_code == 200
    the_problem(over, 429, "TOO_MANY_REQUESTS")
    assert (over.headers["ratelimit-limit"], over.headers["retry-after"]) == ("3", "20")
    the_problem(nobody, 401, "UNAUTHENTICATED")  # who has no token is not told how much others ask


async def test_a_header_with_an_underscore_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/urgent", headers={**OWNER, "x_tenant": "other"})

    the_problem(response, 400, "AMBIGUOUS_REQUEST")
