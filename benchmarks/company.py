"""A company of any size, loaded as its own people would load it: over the public REST interface."""

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx

from kernel.ids import uuid7
from tests.support.deployment import Deployment

SINCE = "2026-01-01"
PERIOD = "2026-10"
PAY_GROUP = "CN-MONTHLY"
DAYS = tuple(date(2026, 10, 1) + timedelta(days=offset) for offset in range(31))
HOLIDAYS = frozenset(DAYS[:7])
WORKDAYS = tuple(day for day in DAYS if day.weekday() < 5 and day not in HOLIDAYS)
BATCH = 500
PUNCHING_ONE_IN = 20  # how many of the company punch; the others' timesheets are filled from their schedule
TOKEN_S = 600.0  # a token lives for 15 minutes
SHANGHAI = timezone(timedelta(hours=8))
ROSTER_S = 300.0
BUSY, TRIES = frozenset({429, 503, 504}), 5
_FIRST = datetime(2026, 1, 6, 9, tzinfo=SHANGHAI)
CITIES = ("SHANGHAI", "KUNMING")


class RequestRefused(RuntimeError):
    """The deployment refused a request; the message is its answer."""


class Company:
    """One tenant of a running deployment.

    Invariants: no two employees have the same wage, bases and allowances; one in `punching_one_in` punches, with
    overtime on workdays and on a rest day.
    """

    def __init__(self, deployment: Deployment, punching_one_in: int = PUNCHING_ONE_IN) -> None:
        self.deployment = deployment
        self.punching_one_in = punching_one_in
        self.code = deployment.create_tenant()
        self.ids: list[str] = []
        self._client = httpx.AsyncClient(base_url=deployment.base_url, timeout=120.0)
        self._token_until = 0.0

    async def __aenter__(self) -> "Company":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request by the owner; the JSON of its answer. Raises RequestRefused."""
        if time.monotonic() > self._token_until:
            self._client.headers["Authorization"] = f"Bearer {await self.token()}"
            self._token_until = time.monotonic() + TOKEN_S
        headers = {"Idempotency-Key": str(uuid4())} if method == "POST" else {}
        for attempt in range(TRIES):
            answer = await self._client.request(method, path, json=body, headers=headers)
            if answer.status_code not in BUSY:
                break
            await asyncio.sleep(attempt)
        if answer.status_code >= 300:
            raise RequestRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    async def token(self, role: str = "owner") -> str:
        """An access token of this tenant."""
        return await asyncio.to_thread(self.deployment.token, self.code, role)

    async def publish(self) -> None:
        """The org chart, the schedules and the payroll catalog."""
        for path, body in CATALOGS:
            await self.ask("PUT", f"/v1/{path}", {"effective_date": SINCE, **body})
        await self.ask("POST", "/v1/pay-components/standard", {"country": "CN", "effective_date": SINCE})

    async def hire(self, employees: int) -> None:
        """That many people more."""
        first = len(self.ids)
        for start in range(first, first + employees, BATCH):
            numbers = range(start, min(start + BATCH, first + employees))
            people = [_hire(number, number % self.punching_one_in == 0) for number in numbers]
            answer = await self.ask("POST", "/v1/employees/batch", {"employees": people})
            for result in answer["results"]:
                if result["refusal"]:
                    raise RequestRefused(str(result))
                self.ids.append(result["id"])

    async def on_roster(self) -> None:
        """Wait until attendance knows everybody. Raises TimeoutError."""
        until = time.monotonic() + ROSTER_S
        for employee in (self.ids[0], self.ids[-1]):
            while True:
                punch = {
                    "punch_id": punch_id(_FIRST),
                    "employee_id": employee,
                    "punched_at": _FIRST.isoformat(),
                }
                answer = await self.ask("POST", "/v1/punches/batch", {"punches": [{**punch, "source": "WEB"}]})
                if answer["results"][0]["refusal"] is None:
                    break
                if time.monotonic() > until:
                    raise TimeoutError(f"the roster is not complete after {ROSTER_S:g} s")
                await asyncio.sleep(0.5)

    async def punch(self, employees: int) -> int:
        """A month of punches of those who punch among the first `employees`; how many punches."""
        punches = self.punches(WORKDAYS, employees)
        for start in range(0, len(punches), BATCH):
            answer = await self.ask("POST", "/v1/punches/batch", {"punches": punches[start : start + BATCH]})
            refused = [result for result in answer["results"] if result["refusal"]]
            if refused:
                raise RequestRefused(str(refused[0]))
        return len(punches)

    def punches(self, workdays: Sequence[date], employees: int) -> list[dict[str, Any]]:
        """What those who punch among the first `employees` did on these days, person by person."""
        return [
            punch
            for number in range(0, employees, self.punching_one_in)
            for punch in _punches(number, self.ids[number], workdays)
        ]

    async def close_month(self) -> None:
        """Everybody's timesheet locked. Waits for the roster. Raises TimeoutError."""
        until = time.monotonic() + ROSTER_S
        while True:
            done = await self._close_once()
            if done == len(self.ids):
                return
            if time.monotonic() > until:
                raise TimeoutError(f"{done} of {len(self.ids)} timesheets are locked after {ROSTER_S:g} s")
            await asyncio.sleep(0.5)

    async def _close_once(self) -> int:
        locked, cursor = 0, ""
        while True:
            body = {"pay_group": PAY_GROUP, "period": PERIOD, "cursor": cursor}
            answer = await self.ask("POST", "/v1/timesheet-closings", body)
            for result in answer["results"]:
                if result["refusal"]:
                    raise RequestRefused(str(result))
                locked += result["status"] == "LOCKED"
            cursor = answer["next_cursor"] or ""
            if not cursor:
                return locked

    async def loaded(self, employees: int) -> dict[str, float]:
        """Everything that a payroll run needs; seconds by step."""
        seconds = {}
        started = time.perf_counter()
        await self.publish()
        for step, work in (
            ("hire", lambda: self.hire(employees)),
            ("punch", lambda: self.punch(employees)),
            ("close", self.close_month),
        ):
            started = time.perf_counter()
            await work()
            seconds[step] = time.perf_counter() - started
        return seconds

    async def new_run(self) -> str:
        """A payroll run in DRAFT; its id."""
        run = await self.ask("POST", "/v1/payroll-runs", {"pay_group": PAY_GROUP, "period": PERIOD})
        return str(run["id"])


def _hire(number: int, punches: bool) -> dict[str, Any]:
    wage = 8000 + number * 7 % 40009
    base = 7384 + number * 3 % 27001
    return {
        "employee_number": f"E{number:07}",
        "person": {
            "legal_name": f"Li Wei {number}",
            "birth_date": (date(1970, 1, 1) + timedelta(days=number % 12000)).isoformat(),
            "email": f"e{number}@example.com",
        },
        "hire_date": "2026-01-05",
        "employment_type": "FULL_TIME",
        "assignment": {
            "legal_entity": "ACME",
            "department": ("ENG", "OPS")[number % 2],
            "location": CITIES[number % 2],
            "work_schedule": "PUNCHED-5X8" if punches else "FIXED-5X8",
            "pay_group": PAY_GROUP,
        },
        "compensation": {"amount": f"{wage}.00", "currency": "CNY", "unit": "MONTH"},
        "allowances": [
            {"code": code, "amount": f"{amount + number % 97}.00", "currency": "CNY", "unit": "MONTH"}
            for code, amount in (("MEAL", 300), ("TRANSPORT", 200), ("HOUSING", 900))
        ],
        "statutory_profile": {
            "country": "CN",
            "values": {
                "social_insurance_city": CITIES[number % 2],
                "social_insurance_base": f"{base}.00",
                "housing_fund_base": f"{base + 17}.00",
                "housing_fund_rate": ("0.05", "0.06", "0.07")[number % 3],
                "injury_rate": "0.002",
                "special_additional_deduction": f"{number % 5 * 1000}.00",
            },
        },
    }


def punch_id(at: datetime) -> str:
    """A new id, as clients are told to make it."""
    return str(uuid7(at, os.urandom(10)))


def _punches(number: int, employee_id: str, workdays: Sequence[date]) -> list[dict[str, Any]]:
    """In and out on these days and on the first Saturday after the fifth of them."""
    spans = [(day, 9, 18 + (number + day.day) % 3) for day in workdays]
    spans.append((workdays[4] + timedelta(days=(5 - workdays[4].weekday()) % 7), 9, 13))
    return [
        {
            "punch_id": punch_id(at),
            "employee_id": employee_id,
            "punched_at": at.isoformat(),
            "direction": direction,
            "source": "DEVICE",
        }
        for day, start, end in spans
        for direction, hour in (("IN", start - 1), ("OUT", end))
        for at in [datetime(day.year, day.month, day.day, hour, number % 50, tzinfo=SHANGHAI)]
    ]


def _week(shift: str | None) -> Sequence[str | None]:
    return [shift] * 5 + [None, None]


CATALOGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("legal-entities/ACME", {"name": "Acme", "country": "CN"}),
    (
        "withholding-registrations/ACME-CN",
        {"name": "Acme withholds", "legal_entity": "ACME", "country": "CN", "currency": "CNY"},
    ),
    *((f"locations/{city}", {"name": city.title(), "country": "CN", "time_zone": "Asia/Shanghai"}) for city in CITIES),
    *((f"departments/{code}", {"name": code.title()}) for code in ("ENG", "OPS")),
    (
        "shifts/DAY",
        {
            "name": "Day shift",
            "intervals": [{"start_time": "09:00", "end_time": "18:00"}],
            "breaks": [{"start_time": "12:00", "end_time": "13:00"}],
        },
    ),
    (
        "holiday-calendars/CN",
        {
            "name": "China",
            "days": [{"date": day.isoformat(), "day_kind": "HOLIDAY", "name": "National Day"} for day in DAYS[:3]]
            + [{"date": day.isoformat(), "day_kind": "REST_DAY", "name": "Moved"} for day in DAYS[3:7]],
        },
    ),
    (
        "overtime-policies/CN",
        {
            "name": "Labour Law, article 44",
            "rules": [
                {"day_kind": kind, "rate_reference": f"OVERTIME_{kind}", "min_minutes": 30, "step_minutes": 30}
                for kind in ("WORKDAY", "REST_DAY", "HOLIDAY")
            ],
        },
    ),
    ("time-calendars/CN-MONTH", {"name": "Calendar months"}),
    *(
        (
            f"work-schedules/{code}",
            {
                "name": code,
                "days": _week("DAY"),
                "holiday_calendar": "CN",
                "overtime_policy": "CN",
                "punch_exempt": exempt,
            },
        )
        for code, exempt in (("FIXED-5X8", True), ("PUNCHED-5X8", False))
    ),
    (
        f"pay-groups/{PAY_GROUP}",
        {
            "name": "Monthly, China",
            "withholding_registration": "ACME-CN",
            "frequency": "MONTH",
            "currency": "CNY",
            "country": "CN",
            "time_calendar": "CN-MONTH",
            "pay_date_rule": {"offset": 1, "day": 5},
        },
    ),
)
