"""What goes on while something is away: the table of docs/runbooks.md, tried out row by row."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.deployment import DistributedDeployment
from tests.support.scenario import Caller, Company, a_hire, reason_of, wait_until

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks.md"
DEADLINE = {"X-Request-Timeout-Ms": "4000"}

# What people do, by its name below.
SIGN_IN, READ_PEOPLE, HIRE, PUNCH = "sign in", "read people", "hire", "punch"
OWN_TIMESHEET, READ_RUNS, OWN_PAYSLIPS = "read one's timesheet", "read runs", "read one's payslips"
READ_ACCOUNTS = "read accounts"

# What does not go on while a part is away; everything else does.
STANDS_STILL = {
    "identity": {SIGN_IN, READ_ACCOUNTS},
    "organization": {READ_PEOPLE, HIRE},
    "attendance": {PUNCH, OWN_TIMESHEET},
    "payroll": {READ_RUNS, OWN_PAYSLIPS},
}


@pytest.fixture(scope="module")
def company(fleet: DistributedDeployment) -> Iterator[Company]:
    with Company(fleet) as company:
        company.with_org_chart().with_schedules().with_pay_group()
        company.hire("WORKER", work_schedule="SHIFTS")
        yield company


@pytest.fixture(scope="module")
def worker(company: Company) -> Caller:
    """Somebody who works there, with an account of their own."""
    return company.account("worker", "employee", company.people["WORKER"])


@pytest.fixture(autouse=True)
def mended(fleet: DistributedDeployment) -> Iterator[None]:
    yield
    fleet.mend()


def tried(company: Company, worker: Caller) -> dict[str, httpx.Response]:
    """Each thing that people do, once, and what came of it."""
    employee, hr = company.people["WORKER"], company.hr
    punch = {
        "punch_id": str(uuid4()), "employee_id": employee, "punched_at": "2026-03-02T09:00:00+08:00", "source": "WEB",
    }  # fmt: skip
    sign_in = {"tenant": worker.tenant, "login": "nobody", "password": "wrong-password"}
    http = worker.http

    def ask(caller: Caller, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {**caller.headers(), **DEADLINE, **({"Idempotency-Key": str(uuid4())} if method == "POST" else {})}
        return http.request(method, path, json=body, headers=headers)

    return {
        SIGN_IN: http.post("/v1/token", json=sign_in, headers=DEADLINE),
        READ_PEOPLE: ask(hr, "GET", f"/v1/employees/{employee}"),
        HIRE: ask(hr, "POST", "/v1/employees", a_hire(f"N{uuid4().hex[:8]}")),
        PUNCH: ask(hr, "POST", "/v1/punches", punch),
        OWN_TIMESHEET: ask(worker, "GET", "/v1/me/timesheet?period=2026-03"),
        READ_RUNS: ask(company.payroll, "GET", "/v1/payroll-runs"),
        OWN_PAYSLIPS: ask(worker, "GET", "/v1/me/payslips"),
        READ_ACCOUNTS: ask(hr, "GET", "/v1/accounts"),
    }


def stands_still(answers: dict[str, httpx.Response]) -> set[str]:
    """What was answered 503 or 504; whoever asked for it was told so by a problem document."""
    away = {name for name, answer in answers.items() if answer.status_code in (503, 504)}
    assert all(reason_of(answers[name]) in ("UNAVAILABLE", "TIMEOUT", "DEADLINE_EXCEEDED") for name in away)
    broken = {name: answer.text for name, answer in answers.items() if answer.status_code == 500}
    assert broken == {}
    return away


@pytest.mark.parametrize("away", STANDS_STILL)
def test_what_needs_no_service_that_is_away_goes_on(
    fleet: DistributedDeployment, company: Company, worker: Caller, away: str
) -> None:
    assert stands_still(tried(company, worker)) == set()

    fleet.parts[away].kill()

    assert stands_still(tried(company, worker)) == STANDS_STILL[away]
    fleet.restart(away)
    wait_until(lambda: not stands_still(tried(company, worker)), f"everything goes on once {away} is back", pause_s=0.5)


def test_a_service_that_everybody_needs_would_be_noticed(
    fleet: DistributedDeployment, company: Company, worker: Caller
) -> None:
    tried(company, worker)

    for service in STANDS_STILL:
        fleet.parts[service].kill()

    assert stands_still(tried(company, worker)) == set().union(*STANDS_STILL.values())


def test_the_runbooks_tell_of_every_service() -> None:
    rows = [
        line.split("|")[1].strip() for line in RUNBOOKS.read_text(encoding="utf-8").splitlines() if line[:2] == "| "
    ]

    assert set(STANDS_STILL) <= set(rows)
