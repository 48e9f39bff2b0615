"""What is promised while parts freeze and end: deadlines hold, one key has one effect, what is asked to stop drains."""

import asyncio
import contextlib
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.support.deployment import DistributedDeployment
from tests.support.scenario import Company, Json, a_hire

DEADLINE_S, ALLOWED_S = 1.0, 1.2
DEADLINE = {"X-Request-Timeout-Ms": "1000"}
PATIENCE_S = 3.0  # of a client that waits without a deadline
COPIES = 1000
BONUS = {"component": "BONUS", "amount": {"amount": "1000.00", "currency": "CNY"}}


@pytest.fixture(scope="module")
def company(fleet: DistributedDeployment) -> Iterator[Company]:
    with Company(fleet) as company:
        company.with_org_chart().with_schedules().with_pay_group()
        company.hire("FIRST")
        yield company


@pytest.fixture(autouse=True)
def mended(fleet: DistributedDeployment) -> Iterator[None]:
    yield
    fleet.mend()


# ---- a frozen database ----


@dataclass(frozen=True)
class Answer:
    status: int  # 0: none came
    problem: Json
    took_s: float


async def ask(http: httpx.AsyncClient, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
    started = time.monotonic()
    try:
        answer = await http.request(method, path, json=body, headers=headers)
    except httpx.TimeoutException:
        return Answer(0, {}, time.monotonic() - started)
    assert answer.headers["content-type"] == "application/problem+json" or answer.is_success
    return Answer(answer.status_code, answer.json(), time.monotonic() - started)


async def slowest_beat(http: httpx.AsyncClient, stop: asyncio.Event) -> float:
    """How long this machine takes at worst for an answer that needs nothing: time that the deadline cannot help."""
    slowest = 0.0
    while not stop.is_set():
        started = time.monotonic()
        await http.get("/livez")
        slowest = max(slowest, time.monotonic() - started)
        await asyncio.sleep(0.02)
    return slowest


def requests_to(company: Company) -> list[tuple[str, str, Any, str]]:
    """A read and a write of each context: method, path, body, role."""
    employee = company.people["FIRST"]
    punch = {"punch_id": str(uuid4()), "employee_id": employee, "punched_at": "2026-03-02T09:00:00+08:00"}
    shift = {"effective_date": "2026-01-01", "name": "X", "intervals": [{"start_time": "09:00", "end_time": "17:00"}]}
    return [
        ("GET", f"/v1/employees/{employee}", None, "hr_admin"),
        ("GET", "/v1/employees?limit=10", None, "hr_admin"),
        ("POST", "/v1/employees", a_hire("FROZEN"), "hr_admin"),
        ("POST", "/v1/punches", {**punch, "source": "WEB"}, "hr_admin"),
        ("PUT", "/v1/shifts/FROZEN", shift, "hr_admin"),
        ("GET", "/v1/payroll-runs", None, "payroll_admin"),
        ("POST", "/v1/payroll-runs", {"pay_group": "CN-MONTHLY", "period": "2026-02"}, "payroll_admin"),
        ("GET", "/v1/accounts", None, "hr_admin"),
    ]


def answered_in_time(answers: Sequence[Answer], slowest_beat_s: float) -> None:
    """Everybody was told within the deadline that a dependency does not answer."""
    assert {answer.status for answer in answers} <= {503, 504}
    assert max(answer.took_s for answer in answers) <= ALLOWED_S + slowest_beat_s
    for answer in answers:
        assert answer.problem["reason"] in ("TIMEOUT", "DEADLINE_EXCEEDED", "UNAVAILABLE")
        assert "Idempotency-Key" in answer.problem["detail"] or "again" in answer.problem["detail"]


async def while_frozen(company: Company, fleet: DistributedDeployment, headers: dict[str, str]) -> None:
    keys = {role: company.staff(role).headers() for role in ("hr_admin", "payroll_admin")}
    keyed = {"Idempotency-Key": "frozen"}
    async with httpx.AsyncClient(base_url=fleet.base_url, timeout=PATIENCE_S) as http:
        asked = requests_to(company)
        fleet.mariadb.sigstop()
        stop = asyncio.Event()
        beat = asyncio.create_task(slowest_beat(http, stop))
        answers = await asyncio.gather(
            *(ask(http, method, path, body, {**keys[role], **keyed, **headers}) for method, path, body, role in asked)
        )
        stop.set()
        slowest = await beat
    answered_in_time(answers, slowest)


async def test_a_frozen_database_costs_the_client_its_deadline_and_no_more(
    company: Company, fleet: DistributedDeployment
) -> None:
    await while_frozen(company, fleet, DEADLINE)
    fleet.mend()

    # Whether the hire was made is not known to the client; the same key settles it, to one effect.
    settled = company.hr.post("/v1/employees", a_hire("FROZEN"), 201, key="frozen")

    found = company.hr.get("/v1/employees", employee_number="FROZEN")["data"]
    assert [each["id"] for each in found] == [settled["id"]]


async def test_without_its_deadline_a_client_would_wait(company: Company, fleet: DistributedDeployment) -> None:
    with pytest.raises(AssertionError):
        await while_frozen(company, fleet, {})


@contextlib.contextmanager
def org_chart_held(fleet: DistributedDeployment, company: Company) -> Iterator[None]:
    """Another session holds the row that every hire of the company refers to."""
    tenant = UUID(company.founded.tenant_id).hex
    sql = f"BEGIN; SELECT 1 FROM org_chart WHERE tenant_id = X'{tenant}' FOR UPDATE; DO SLEEP(600)"
    command, environment = fleet.mariadb.session(sql, fleet.databases["organization"])
    holding = "SELECT id FROM information_schema.processlist WHERE info LIKE 'DO SLEEP(%'"
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as session:
        try:
            until = time.monotonic() + PATIENCE_S
            while not (holder := str(fleet.mariadb.execute(holding)).strip()):
                assert time.monotonic() < until
                time.sleep(0.02)
            yield
            fleet.mariadb.execute(f"KILL {holder}")
        finally:
            session.kill()


def statements_alive(fleet: DistributedDeployment) -> int:
    """Statements of the data services that have run for longer than half a second."""
    return int(
        fleet.mariadb.execute(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE command <> 'Sleep' AND time_ms > 500"
            " AND info IS NOT NULL AND info NOT LIKE '%SLEEP(%' AND info NOT LIKE '%processlist%'"
        )
    )


async def test_no_statement_lives_on_after_its_client_was_answered(
    company: Company, fleet: DistributedDeployment
) -> None:
    headers = {**company.hr.headers(), **DEADLINE}
    with org_chart_held(fleet, company):
        async with httpx.AsyncClient(base_url=fleet.base_url, timeout=PATIENCE_S) as http:
            asking = [
                asyncio.create_task(ask(http, "POST", "/v1/employees", a_hire(f"HELD-{n}"), headers)) for n in range(6)
            ]
            for _ in range(20):
                await asyncio.sleep(0.04)
                if alive_before := statements_waiting(fleet):
                    break
            fleet.mariadb.sigstop()
            answers = await asyncio.gather(*asking)
            fleet.mariadb.sigcont()
            await asyncio.sleep(1.0)
            alive = statements_alive(fleet)

    assert alive_before >= 1
    assert {answer.status for answer in answers} <= {503, 504}
    assert alive == 0
    assert company.hr.get("/v1/employees", q="HELD-")["data"] == []


async def statements_after(company: Company, fleet: DistributedDeployment, *, stays: bool) -> int:
    """How many hires wait in the database two seconds after their client closed its connections, or did not."""
    with org_chart_held(fleet, company):
        async with httpx.AsyncClient(base_url=fleet.base_url, timeout=PATIENCE_S * 5) as http:
            headers = company.hr.headers()
            asking = [
                asyncio.create_task(http.post("/v1/employees", json=a_hire(f"GONE-{n}"), headers=headers))
                for n in range(4)
            ]
            for _ in range(100):
                await asyncio.sleep(0.05)
                if statements_waiting(fleet) == 4:
                    break
            assert statements_waiting(fleet) == 4
            if not stays:
                for each in asking:
                    each.cancel()
            await asyncio.sleep(2.0)
            left = statements_waiting(fleet)
            for each in asking:
                each.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
    return left


async def test_a_client_that_goes_away_leaves_no_statement_behind(
    company: Company, fleet: DistributedDeployment
) -> None:
    assert await statements_after(company, fleet, stays=False) == 0
    assert company.hr.get("/v1/employees", q="GONE-")["data"] == []


async def test_for_a_client_that_stays_the_statements_would_go_on(
    company: Company, fleet: DistributedDeployment
) -> None:
    assert await statements_after(company, fleet, stays=True) == 4


def statements_waiting(fleet: DistributedDeployment) -> int:
    return int(
        fleet.mariadb.execute(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE command <> 'Sleep' AND info LIKE '%org_chart%'"
            " AND info NOT LIKE '%processlist%' AND info NOT LIKE '%SLEEP(%'"
        )
    )


# ---- one key ----


@dataclass(frozen=True)
class Raw:
    """An answer as it came over the wire."""

    status_code: int
    headers: dict[str, str]
    content: bytes

    @property
    def reason(self) -> str:
        return str(json.loads(self.content).get("reason"))


async def sent_alone(base_url: str, header: dict[str, str], body: bytes, go: asyncio.Event) -> Raw:
    """One POST over a connection of its own, opened before all are sent. Client libraries cost more than the server."""
    url = httpx.URL(base_url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = [f"POST /v1/pay-inputs HTTP/1.1\r\nHost: {url.host}\r\nConnection: close\r\n"]
    head += [f"{name}: {value}\r\n" for name, value in header.items()]
    head += [f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"]
    await go.wait()
    writer.write("".join(head).encode() + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    first, _, content = answer.partition(b"\r\n\r\n")
    status, *lines = first.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Raw(int(status.split()[1]), {name.lower(): value for name, value in headers.items()}, content)


async def flood(fleet: DistributedDeployment, headers: Sequence[dict[str, str]], body: Json) -> list[Raw]:
    """One request per header, all at once, spread over all applications."""
    urls, go = fleet.base_urls, asyncio.Event()
    content = json.dumps(body).encode()
    sending = [
        asyncio.create_task(sent_alone(urls[n % len(urls)], header, content, go)) for n, header in enumerate(headers)
    ]
    await asyncio.sleep(0.5)
    go.set()
    return await asyncio.gather(*sending)


def one_effect(company: Company, answers: Sequence[Raw], period: str) -> None:
    """Every answer that is no refusal has the same bytes, and there is one pay input."""
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(company.payroll.get("/v1/pay-inputs", period=period)["data"]) == 1


async def test_a_thousand_equal_requests_over_two_applications_have_one_effect(
    company: Company, fleet: DistributedDeployment
) -> None:
    body = {"employee_id": company.people["FIRST"], "pay_group": "CN-MONTHLY", "period": "2026-07", **BONUS}
    header = company.payroll.headers(key=f"bonus-{uuid4()}")

    left, answers, rounds = COPIES, [], 0
    while left and rounds < 20:
        got = await flood(fleet, [header] * left, body)
        answers += [answer for answer in got if answer.status_code == 201]
        refused = [answer for answer in got if answer.status_code != 201]
        assert {(answer.status_code, answer.reason) for answer in refused} <= {(409, "REQUEST_IN_FLIGHT")}
        assert all(answer.headers["retry-after"] == "1" for answer in refused)
        left, rounds = len(refused), rounds + 1
        await asyncio.sleep(0.2)

    assert len(answers) == COPIES
    one_effect(company, answers, "2026-07")
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


async def test_without_one_key_each_request_would_have_its_effect(
    company: Company, fleet: DistributedDeployment
) -> None:
    body = {"employee_id": company.people["FIRST"], "pay_group": "CN-MONTHLY", "period": "2026-08", **BONUS}

    answers = await flood(fleet, [company.payroll.headers(key=str(uuid4())) for _ in range(8)], body)

    with pytest.raises(AssertionError):
        one_effect(company, answers, "2026-08")


# ---- SIGTERM ----


@contextlib.asynccontextmanager
async def requests_in_flight(company: Company, base_url: str) -> AsyncIterator[list["asyncio.Task[httpx.Response]"]]:
    """Reads that wait for organization, which is frozen."""
    path, headers = f"/v1/employees/{company.people['FIRST']}", company.hr.headers()
    async with httpx.AsyncClient(base_url=base_url, timeout=20.0) as http:
        sent = [asyncio.create_task(http.get(path, headers=headers)) for _ in range(5)]
        await asyncio.sleep(0.5)
        try:
            yield sent
        finally:
            for each in sent:
                each.cancel()
            await asyncio.gather(*sent, return_exceptions=True)


async def ends_in_order(company: Company, fleet: DistributedDeployment, how: signal.Signals) -> None:
    """The second application is told to stop while it serves: it finishes what it began, takes nothing new, ends."""
    name, url = "application-2", fleet.base_urls[1]
    organization, application = fleet.parts["organization"], fleet.parts[name]
    organization.freeze()
    async with requests_in_flight(company, url) as sent:
        application.signal(how)
        await asyncio.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(httpx.URL(url).host, httpx.URL(url).port)
        organization.thaw()
        answers = await asyncio.gather(*sent, return_exceptions=True)
    code = await asyncio.to_thread(application.ended, 12.0)

    assert [answer.status_code for answer in answers if isinstance(answer, httpx.Response)] == [200] * len(sent)
    assert code == 0


async def test_an_application_that_is_told_to_stop_finishes_what_it_serves(
    company: Company, fleet: DistributedDeployment
) -> None:
    await ends_in_order(company, fleet, signal.SIGTERM)


async def test_an_application_that_is_killed_would_lose_it(company: Company, fleet: DistributedDeployment) -> None:
    with pytest.raises(AssertionError):
        await ends_in_order(company, fleet, signal.SIGKILL)


@pytest.mark.parametrize("service", ["organization", "attendance", "payroll", "identity"])
async def test_a_data_service_that_is_told_to_stop_finishes_what_it_serves(
    company: Company, fleet: DistributedDeployment, service: str
) -> None:
    path, role = {
        "organization": (f"/v1/employees/{company.people['FIRST']}", "hr_admin"),
        "attendance": ("/v1/shifts/DAY", "hr_admin"),
        "payroll": ("/v1/pay-groups/CN-MONTHLY", "payroll_admin"),
        "identity": ("/v1/accounts", "hr_admin"),
    }[service]
    headers = company.staff(role).headers()
    async with httpx.AsyncClient(base_url=fleet.base_url, timeout=20.0) as http:
        fleet.mariadb.sigstop()
        sent = [asyncio.create_task(http.get(path, headers=headers)) for _ in range(5)]
        await asyncio.sleep(0.5)
        fleet.parts[service].signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        fleet.mariadb.sigcont()
        answers = await asyncio.gather(*sent)
    code = await asyncio.to_thread(fleet.parts[service].ended, 12.0)

    assert [answer.status_code for answer in answers] == [200] * 5
    assert code == 0
