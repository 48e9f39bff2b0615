"""A company as its clients see it: accounts, people, time and payroll over the published REST interface only."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from tests.support.deployment import Deployment, Founded

T = TypeVar("T")

Json = dict[str, Any]

PATIENCE_S = 60.0
SIGNED_IN_S = 600.0  # a token lives for 15 minutes
PASSING = frozenset({"REQUEST_IN_FLIGHT", "OVERLOADED"})
BATCH = 500
SINCE = "2020-01-01"
PAY_GROUP = "CN-MONTHLY"
PROFILE = {"social_insurance_city": "SHANGHAI", "housing_fund_rate": "0.07", "injury_rate": "0.002"}


def wait_until(condition: Callable[[], T | None], what: str, limit_s: float = PATIENCE_S, pause_s: float = 0.05) -> T:
    """What `condition` gives once it is true. Raises TimeoutError, naming `what`."""
    until = time.monotonic() + limit_s
    while True:
        if found := condition():
            return found
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {limit_s:g} s")
        time.sleep(pause_s)


class Caller:
    """One account at work against one address; it signs in again before its token ends."""

    def __init__(self, http: httpx.Client, tenant: str, login: str, password: str) -> None:
        self.http = http
        self.tenant = tenant
        self.login = login
        self._password = password
        self._token = ""
        self._signed_in = float("-inf")
        self.account_id = ""

    @property
    def token(self) -> str:
        """A token that is valid for some minutes more."""
        if time.monotonic() - self._signed_in > SIGNED_IN_S:
            body = {"tenant": self.tenant, "login": self.login, "password": self._password}
            answer = checked(self._patiently(lambda: self.http.post("/v1/token", json=body)), 200)
            self._signed_in = time.monotonic()
            self._token, self.account_id = answer["access_token"], answer["account_id"]
        return self._token

    def at(self, http: httpx.Client) -> "Caller":
        """The same account at another address."""
        other = Caller(http, self.tenant, self.login, self._password)
        other._token, other._signed_in, other.account_id = self.token, self._signed_in, self.account_id
        return other

    def headers(self, *, key: str | None = None, if_match: str | None = None) -> dict[str, str]:
        """What a request of this account carries."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        if if_match is not None:
            headers["If-Match"] = if_match
        return headers

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        if_match: str | None = None,
        timeout_s: float | None = None,
        **params: Any,
    ) -> httpx.Response:
        """One request, whatever comes of it."""
        return self.http.request(
            method,
            path,
            json=body,
            params={name: value for name, value in params.items() if value is not None},
            headers=self.headers(key=key, if_match=if_match),
            timeout=httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s,
        )

    def get(self, path: str, **params: Any) -> Json:
        """The answer of a read that works; a service that is away for a moment is waited for."""
        return checked(self._patiently(lambda: self.request("GET", path, **params)), 200)

    def pages(self, path: str, **params: Any) -> Iterator[Json]:
        """Every item of a list."""
        cursor: str | None = None
        while True:
            page = self.get(path, cursor=cursor, limit=1000, **params)
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def post(self, path: str, body: Any = None, status: int | None = None, **options: Any) -> Json:
        """The answer of a change that works, repeated under its one key while a service is away."""
        return self._change("POST", path, body, status, **options)

    def put(self, path: str, body: Any, status: int | None = None, **options: Any) -> Json:
        """The same for PUT."""
        return self._change("PUT", path, body, status, **options)

    def _change(self, method: str, path: str, body: Any, status: int | None, **options: Any) -> Json:
        key = options.pop("key", None) or str(uuid4())
        answer = self._patiently(lambda: self.request(method, path, body, key=key, **options))
        return checked(answer, status)

    @staticmethod
    def _patiently(send: Callable[[], httpx.Response]) -> httpx.Response:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = send()
                waits = answer.status_code in (503, 504) or (answer.status_code == 409 and reason_of(answer) in PASSING)
                if not waits or time.monotonic() > until:
                    return answer
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)


def reason_of(response: httpx.Response) -> str:
    """The stable reason of a problem document."""
    return str(response.json().get("reason"))


def checked(response: httpx.Response, status: int | None = None) -> Json:
    """The body of a success. Raises AssertionError with the problem."""
    fine = response.is_success if status is None else response.status_code == status
    request = response.request
    assert fine, f"{request.method} {request.url.path} answered {response.status_code}: {response.text[:2000]}"
    found: Json = response.json()
    return found


def a_hire(number: str, **changes: Any) -> Json:
    """The body of a hire: 20,000 CNY a month in Shanghai, from 2025, not punching."""
    profile = {**PROFILE, **changes.pop("profile", {})}
    assignment = {
        "legal_entity": "ACME-CN",
        "department": "ENG",
        "position": "ENGINEER",
        "location": "SHANGHAI",
        "work_schedule": changes.pop("work_schedule", "OFFICE"),
        "pay_group": PAY_GROUP,
        **changes.pop("assignment", {}),
    }
    return {
        "employee_number": number,
        "person": {"legal_name": f"Person {number}", "birth_date": "1990-05-01", **changes.pop("person", {})},
        "hire_date": changes.pop("hire_date", "2025-01-06"),
        "assignment": assignment,
        "compensation": {"amount": changes.pop("wage", "20000.00"), "currency": "CNY", "unit": "MONTH"},
        "statutory_profile": {"country": "CN", "values": profile},
        **changes,
    }


class Company:
    """A tenant with an owner and one account per role, driven as its people would drive it.

    Invariants: everything goes through the REST interface; every wait has a limit.
    """

    def __init__(self, deployment: Deployment, founded: Founded | None = None) -> None:
        self.deployment = deployment
        self.founded = founded or deployment.found_tenant()
        self._clients: dict[str, httpx.Client] = {}
        self._staff: dict[str, Caller] = {}
        self.owner = Caller(self.http(), self.founded.code, self.founded.owner_login, self.founded.owner_password)
        self.people: dict[str, str] = {}  # id by employee number

    def __enter__(self) -> "Company":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        for client in self._clients.values():
            client.close()

    def http(self, base_url: str | None = None) -> httpx.Client:
        """The connections to one address, by default the first one of the deployment."""
        url = base_url or self.deployment.base_url
        if url not in self._clients:
            self._clients[url] = httpx.Client(base_url=url, timeout=30.0)
        return self._clients[url]

    # ---- accounts ----

    @property
    def hr(self) -> Caller:
        """The HR department."""
        return self.staff("hr_admin")

    @property
    def payroll(self) -> Caller:
        """Who prepares payroll."""
        return self.staff("payroll_admin")

    @property
    def approver(self) -> Caller:
        """Who approves payroll."""
        return self.staff("payroll_approver")

    def staff(self, role: str) -> Caller:
        """The company's account of a role, made when first asked for."""
        if role not in self._staff:
            self._staff[role] = self.account(role.replace("_", "-"), role)
        return self._staff[role]

    def account(self, login: str, role: str, employee_id: str | None = None) -> Caller:
        """A new account with one role."""
        password = secrets.token_urlsafe(12)
        made = self.owner.post("/v1/accounts", {"login": login, "password": password, "employee_id": employee_id}, 201)
        self.owner.post(f"/v1/accounts/{made['id']}/grants", {"role": role}, 201)
        return Caller(self.http(), self.founded.code, login, password)

    # ---- definitions ----

    def with_org_chart(self) -> "Company":
        """A legal entity with its withholding registration, a workplace, two departments and a position."""
        put = self.hr.put
        entity = {"effective_date": SINCE, "name": "Acme (Shanghai) Co., Ltd.", "country": "CN"}
        put("/v1/legal-entities/ACME-CN", entity)
        registration = {"legal_entity": "ACME-CN", "country": "CN", "currency": "CNY"}
        put("/v1/withholding-registrations/ACME-TAX", {"effective_date": SINCE, "name": "Acme", **registration})
        place = {"effective_date": SINCE, "name": "Shanghai", "time_zone": "Asia/Shanghai", "country": "CN"}
        put("/v1/locations/SHANGHAI", place)
        put("/v1/departments/HQ", {"effective_date": SINCE, "name": "Headquarters"})
        put("/v1/departments/ENG", {"effective_date": SINCE, "name": "Engineering", "parent": "HQ"})
        put("/v1/positions/ENGINEER", {"effective_date": SINCE, "name": "Engineer"})
        return self

    def with_schedules(self) -> "Company":
        """Calendar months; a day shift of eight hours; a schedule with punches (SHIFTS) and one without (OFFICE)."""
        put = self.hr.put
        put("/v1/time-calendars/MONTHS", {"effective_date": SINCE, "name": "Months", "frequency": "MONTHLY"})
        day = {
            "intervals": [{"start_time": "09:00", "end_time": "18:00"}],
            "breaks": [{"start_time": "12:00", "end_time": "13:00"}],
        }
        put("/v1/shifts/DAY", {"effective_date": SINCE, "name": "Day", **day})
        rules = [
            {"day_kind": kind, "rate_reference": f"CN_{kind}", "min_minutes": 30, "step_minutes": 30}
            for kind in ("WORKDAY", "REST_DAY", "HOLIDAY")
        ]
        put("/v1/overtime-policies/CN", {"effective_date": SINCE, "name": "Labour Law art. 44", "rules": rules})
        holidays = [{"date": f"2026-10-{day:02}", "day_kind": "HOLIDAY", "name": "National Day"} for day in (1, 2, 3)]
        put("/v1/holiday-calendars/CN", {"effective_date": SINCE, "name": "China", "days": holidays})
        week = {"days": [*["DAY"] * 5, None, None], "holiday_calendar": "CN"}
        shifts = {"effective_date": SINCE, "name": "Shifts", "overtime_policy": "CN", **week}
        put("/v1/work-schedules/SHIFTS", shifts)
        office = {"effective_date": SINCE, "name": "Office", "punch_exempt": True, **week}
        put("/v1/work-schedules/OFFICE", office)
        return self

    def with_pay_group(self) -> "Company":
        """A monthly pay group and the standard components of China."""
        group = {
            "effective_date": SINCE,
            "name": "Monthly, China",
            "withholding_registration": "ACME-TAX",
            "frequency": "MONTH",
            "currency": "CNY",
            "country": "CN",
            "time_calendar": "MONTHS",
        }
        self.payroll.put(f"/v1/pay-groups/{PAY_GROUP}", group)
        self.payroll.post("/v1/pay-components/standard", {"country": "CN", "effective_date": SINCE}, 201)
        return self

    # ---- people ----

    def hire(self, number: str, **changes: Any) -> Json:
        """Hire one person; the employee as answered."""
        hired = self.hr.post("/v1/employees", a_hire(number, **changes), 201)
        self.people[number] = hired["id"]
        return hired

    def hire_many(self, bodies: Sequence[Json]) -> list[str]:
        """Hire people in batches; their ids in order."""
        ids: list[str] = []
        for start in range(0, len(bodies), BATCH):
            answer = self.hr.post("/v1/employees/batch", {"employees": bodies[start : start + BATCH]}, 200)
            for result in answer["results"]:
                assert result["refusal"] is None, result
                self.people[result["employee_number"]] = result["id"]
                ids.append(result["id"])
        return ids

    def change(self, number: str, what: str, body: Json, by: Caller | None = None) -> Json:
        """Change one person as they are now: `what` is the last part of the address, such as terminations."""
        caller, path = by or self.hr, f"/v1/employees/{self.people[number]}"
        version = caller.get(path)["version"]
        return caller.post(f"{path}/{what}", body, 201, if_match=f'"{version}"')

    def punch(self, employee_id: str, punches: Iterable[tuple[datetime, str]]) -> None:
        """Import instants with their direction IN or OUT."""
        items = [
            {
                "punch_id": str(uuid4()),
                "employee_id": employee_id,
                "punched_at": instant.isoformat(),
                "direction": direction,
                "source": "IMPORT",
            }
            for instant, direction in punches
        ]
        for start in range(0, len(items), BATCH):
            answer = self.hr.post("/v1/punches/batch", {"punches": items[start : start + BATCH]}, 200)
            refused = [result for result in answer["results"] if result["outcome"] != "RECORDED"]
            assert not refused, refused[:3]

    def close_month(self, period: str, people: int) -> None:
        """Take everybody of the pay group to LOCKED, as soon as the roster knows all of them."""

        def all_locked() -> bool:
            locked: int = 0
            cursor = ""
            while True:
                body = {"pay_group": PAY_GROUP, "period": period, "target_status": "LOCKED", "cursor": cursor}
                answer = self.hr.post("/v1/timesheet-closings", body, 202)
                results = answer["results"]
                stuck = [result for result in results if result["refusal"] is not None]
                assert not stuck, stuck[:3]
                locked += sum(result["status"] == "LOCKED" for result in results)
                cursor = answer["next_cursor"]
                if cursor is None:
                    return bool(locked == people)

        wait_until(all_locked, f"{people} locked timesheets of {period}", limit_s=120, pause_s=0.2)

    # ---- payroll ----

    def create_run(self, period: str, **changes: Any) -> Json:
        """A run in DRAFT."""
        return self.payroll.post("/v1/payroll-runs", {"pay_group": PAY_GROUP, "period": period, **changes}, 201)

    def calculate(self, run_id: str) -> Json:
        """Ask for the calculation of a run."""
        return self.payroll.post(f"/v1/payroll-runs/{run_id}/calculate", None, 202)

    def run(self, run_id: str) -> Json:
        """A run as it is now."""
        return self.payroll.get(f"/v1/payroll-runs/{run_id}")

    def calculated(self, run_id: str, limit_s: float = PATIENCE_S) -> Json:
        """The run, once it is CALCULATED."""

        def done() -> Json | None:
            run = self.run(run_id)
            assert run["status"] in ("CALCULATING", "CALCULATED"), run
            return run if run["status"] == "CALCULATED" else None

        return wait_until(done, f"run {run_id} CALCULATED", limit_s)

    def approve(self, run: Mapping[str, Any]) -> Json:
        """The second person accepts what the calculation gave."""
        body = {"calculation_hash": run["calculation_hash"]}
        return self.approver.post(f"/v1/payroll-runs/{run['id']}/approve", body, 200)

    def finalize(self, run_id: str) -> Json:
        """Make an approved run final."""
        return self.payroll.post(f"/v1/payroll-runs/{run_id}/finalize", None, 200)

    def void(self, run_id: str) -> Json:
        """Give a run up."""
        return self.payroll.post(f"/v1/payroll-runs/{run_id}/void", {"reason": "Done with it"}, 200)

    def payslips(self, run_id: str) -> list[Json]:
        """The summaries of all payslips of a run."""
        return list(self.payroll.pages(f"/v1/payroll-runs/{run_id}/payslips"))

    def payslip_of(self, run_id: str, number: str) -> Json:
        """One employee's payslip of a run, with its lines."""
        employee = self.people[number]
        found = next(each for each in self.payslips(run_id) if each["employee_id"] == employee)
        return self.payroll.get(f"/v1/payslips/{found['id']}")


def workdays(first: date, last: date) -> Iterator[date]:
    """Mondays to Fridays from `first` to `last`, both included."""
    day = first
    while day <= last:
        if day.weekday() < 5:
            yield day
        day += timedelta(days=1)
