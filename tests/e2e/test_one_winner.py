"""Many writers with one version: one of them wins, whatever the database, and the others are told so."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.deployment import Deployment
from tests.support.scenario import Caller, Company, Json, reason_of

WRITERS = 16


@pytest.fixture(scope="module")
def company(deployment: Deployment) -> Iterator[Company]:
    with Company(deployment) as company:
        company.with_org_chart().with_schedules().with_pay_group()
        company.hire("RACED")
        yield company


def race(
    company: Company, requests: list[tuple[str, str, Json, str | None]], by: Caller | None = None
) -> list[httpx.Response]:
    """All requests at once, each over a connection of its own."""
    headers = [(by or company.hr).headers(if_match=if_match) for _, _, _, if_match in requests]
    with httpx.Client(base_url=company.deployment.base_url, timeout=30.0) as http, ThreadPoolExecutor(WRITERS) as pool:
        sent = [
            pool.submit(http.request, method, path, json=body, headers=header)
            for (method, path, body, _), header in zip(requests, headers, strict=True)
        ]
        return [each.result() for each in sent]


def one_won(answers: list[httpx.Response]) -> None:
    """Exactly one change was made; all others saw an older version."""
    assert Counter(answer.status_code for answer in answers if not answer.is_success) == {412: WRITERS - 1}
    assert {reason_of(answer) for answer in answers if not answer.is_success} == {"STALE_VERSION"}


def test_of_many_writers_with_one_version_of_an_employee_one_wins(company: Company) -> None:
    path = f"/v1/employees/{company.people['RACED']}"
    version = company.hr.get(path)["version"]
    change = {"effective_date": "2026-01-01", "person": {}}
    bodies: list[Json] = [{**change, "person": {"preferred_name": f"Writer {n}"}} for n in range(WRITERS)]

    answers = race(company, [("PATCH", f"{path}/person", body, f'"{version}"') for body in bodies])

    one_won(answers)
    winner = next(place for place, answer in enumerate(answers) if answer.is_success)
    after = company.hr.get(path, as_of="2026-01-01")
    assert after["version"] == version + 1
    assert after["person"]["preferred_name"] == f"Writer {winner}"


def test_of_many_publishers_with_one_version_of_a_shift_one_wins(company: Company) -> None:
    body = {
        "effective_date": "2026-01-01",
        "name": "Raced",
        "intervals": [{"start_time": "09:00", "end_time": "18:00"}],
    }
    version = company.hr.put("/v1/shifts/RACED", body)["version"]

    answers = race(
        company,
        [("PUT", "/v1/shifts/RACED", {**body, "name": f"Writer {n}"}, f'"{version}"') for n in range(WRITERS)],
    )

    one_won(answers)


def test_of_many_approvals_of_one_run_one_wins(company: Company) -> None:
    company.close_month("2026-03", 1)
    run = company.create_run("2026-03")
    company.calculate(run["id"])
    run = company.calculated(run["id"])
    approve, seen = f"/v1/payroll-runs/{run['id']}/approve", {"calculation_hash": run["calculation_hash"]}

    answers = race(company, [("POST", approve, seen, None)] * WRITERS, by=company.approver)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: WRITERS - 1}
    assert company.run(run["id"])["status"] == "APPROVED"


def test_writers_who_do_not_say_what_they_saw_would_all_win(company: Company) -> None:
    body = {"effective_date": "2026-02-01", "intervals": [{"start_time": "08:00", "end_time": "17:00"}]}

    answers = race(
        company, [("PUT", "/v1/shifts/RACED", {**body, "name": f"Writer {n}"}, None) for n in range(WRITERS)]
    )

    assert sum(answer.is_success for answer in answers) > 1
    with pytest.raises(AssertionError):
        one_won(answers)
