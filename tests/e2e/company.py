"""A small company in China, told to Muster through its REST interface as an HR system would."""

import asyncio
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import httpx

from tests.e2e.tenants import Company, body_of

SINCE = "2019-01-01"
PERIOD = "2026-10"
HOLIDAYS = ("2026-10-01", "2026-10-02", "2026-10-03")


@dataclass
class Staffed:
    """A company with people, schedules and a pay group; the ids by employee number."""

    company: Company
    ids: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)


def hire_body(
    number: str, *, monthly: str = "20000.00", schedule: str = "STANDARD-5X8", **changes: Any
) -> dict[str, Any]:
    """A hire in the words of the API's documentation."""
    return {
        "employee_number": number,
        "person": {"legal_name": f"Person {number}", "birth_date": "1990-05-01", "email": f"{number}@example.com"},
        "hire_date": "2026-01-05",
        "employment_type": "FULL_TIME",
        "assignment": {
            "legal_entity": "ACME-CN",
            "department": "ENG",
            "position": "ENGINEER",
            "location": "SHANGHAI",
            "manager_id": None,
            "work_schedule": schedule,
            "pay_group": "CN-MONTHLY",
            "fte": "1",
        },
        "compensation": {"amount": monthly, "currency": "CNY", "unit": "MONTH"},
        "statutory_profile": {
            "country": "CN",
            "values": {
                "social_insurance_city": "SHANGHAI",
                "social_insurance_base": monthly,
                "housing_fund_base": monthly,
                "housing_fund_rate": "0.07",
                "injury_rate": "0.002",
                "special_additional_deduction": "1500.00",
            },
        },
        **changes,
    }


async def define(owner: httpx.AsyncClient) -> None:
    """Org chart, schedules and payroll catalog."""
    puts: list[tuple[str, dict[str, Any]]] = [
        ("legal-entities/ACME-CN", {"name": "Acme (Shanghai) Co., Ltd.", "country": "CN"}),
        (
            "withholding-registrations/ACME-CN-TAX",
            {"name": "Withholding agent", "legal_entity": "ACME-CN", "country": "CN", "currency": "CNY"},
        ),
        ("locations/SHANGHAI", {"name": "Shanghai", "country": "CN", "time_zone": "Asia/Shanghai"}),
        ("departments/HQ", {"name": "Headquarters"}),
        ("departments/ENG", {"name": "Engineering", "parent": "HQ"}),
        ("positions/ENGINEER", {"name": "Engineer", "department": "ENG", "headcount": 0}),
        (
            "shifts/DAY",
            {
                "name": "Day",
                "intervals": [{"start_time": "09:00", "end_time": "18:00"}],
                "breaks": [{"start_time": "12:00", "end_time": "13:00"}],
                "late_grace_minutes": 5,
            },
        ),
        (
            "holiday-calendars/CN",
            {"name": "China", "days": [{"date": day, "day_kind": "HOLIDAY"} for day in HOLIDAYS]},
        ),
        (
            "overtime-policies/CN",
            {
                "name": "Labour Law art. 44",
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
                    "days": ["DAY"] * 5 + [None, None],
                    "holiday_calendar": "CN",
                    "overtime_policy": "CN",
                    "punch_exempt": code == "FIXED-5X8",
                },
            )
            for code in ("STANDARD-5X8", "FIXED-5X8")
        ),
        (
            "pay-groups/CN-MONTHLY",
            {
                "name": "Monthly",
                "withholding_registration": "ACME-CN-TAX",
                "frequency": "MONTH",
                "currency": "CNY",
                "country": "CN",
                "time_calendar": "CN-MONTH",
                "pay_date_rule": {"offset": 1, "day": 5},
            },
        ),
    ]
    for path, body in puts:
        body_of(await owner.put(f"/v1/{path}", json={"effective_date": SINCE, **body}))
    body_of(await owner.post("/v1/pay-components/standard", json={"country": "CN", "effective_date": SINCE}))


def working_days(first: date, last: date) -> list[date]:
    """Monday to Friday without the holidays."""
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    return [day for day in days if day.weekday() < 5 and day.isoformat() not in HOLIDAYS]


def punches_of(number: str, **special: tuple[str, str]) -> list[dict[str, Any]]:
    """Punches of October 2026, 09:00 to 18:00; `special` has other times by day: d2026_10_09=("09:20", "18:00")."""
    found = []
    for day in working_days(date(2026, 10, 1), date(2026, 10, 31)):
        times = special.get(f"d{day.isoformat().replace('-', '_')}", ("09:00", "18:00"))
        for direction, time in zip(("IN", "OUT"), times, strict=True):
            found.append(
                {
                    "punch_id": str(uuid5(NAMESPACE_OID, f"{number} {day} {direction}")),
                    "employee_number": number,
                    "punched_at": f"{day}T{time}:00+08:00",
                    "direction": direction,
                    "source": "DEVICE",
                    "device_id": "GATE-1",
                }
            )
    return found


async def staffed(company: Company, numbers: tuple[str, ...] = ("E0001", "E0002", "E0003")) -> Staffed:
    """The company with its catalogs and people."""
    await define(company.owner)
    found = Staffed(company)
    for number in numbers:
        schedule = "FIXED-5X8" if number == "E0001" else "STANDARD-5X8"
        found.bodies[number] = body_of(
            await company.owner.post("/v1/employees", json=hire_body(number, schedule=schedule)), 201
        )
        found.ids[number] = found.bodies[number]["id"]
    return found


async def until_calculated(client: httpx.AsyncClient, run_id: str, *, within_s: float = 60.0) -> dict[str, Any]:
    """The run once it is CALCULATED."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + within_s
    while True:
        run: dict[str, Any] = body_of(await client.get(f"/v1/payroll-runs/{run_id}"))
        if run["status"] == "CALCULATED":
            return run
        assert run["status"] == "CALCULATING", run
        assert clock.time() < deadline, f"still calculating: {run}"
        await asyncio.sleep(0.1)
