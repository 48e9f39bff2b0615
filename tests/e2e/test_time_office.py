"""A month of the time office over REST: forgotten punches, overtime that has to be approved, changes after lock."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.company import PERIOD, SINCE, Staffed, hire_body, punches_of, staffed
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment

DAY = "2026-10-20"


@pytest.fixture(scope="module")
async def acme(deployment: Deployment) -> AsyncIterator[Staffed]:
    """A company with a manager (E0001), E0002 and E0003, and E0004 who reports to the manager and asks for overtime."""
    async with a_company(deployment) as company:
        found = await staffed(company)
        rules = [
            {"day_kind": kind, "rate_reference": kind, "approval_required": True} for kind in ("WORKDAY", "REST_DAY")
        ]
        policy = {"effective_date": SINCE, "name": "On request", "rules": rules}
        body_of(await company.owner.put("/v1/overtime-policies/ON-REQUEST", json=policy))
        schedule = {
            "effective_date": SINCE,
            "name": "On request",
            "days": ["DAY"] * 5 + [None, None],
            "overtime_policy": "ON-REQUEST",
        }
        body_of(await company.owner.put("/v1/work-schedules/ON-REQUEST", json=schedule))
        for number, plan in (("E0004", "STANDARD-5X8"), ("E0005", "ON-REQUEST"), ("E0006", "STANDARD-5X8")):
            body = hire_body(number, schedule=plan)
            body["assignment"]["manager_id"] = found.ids["E0001"]
            found.ids[number] = body_of(await company.owner.post("/v1/employees", json=body), 201)["id"]
        yield found


async def month_of(acme: Staffed, number: str, punches: list[dict[str, Any]]) -> dict[str, Any]:
    """The timesheet after these punches."""
    body_of(await acme.company.owner.post("/v1/punches/batch", json={"punches": punches}))
    return await sheet_of(acme, number)


async def sheet_of(acme: Staffed, number: str) -> dict[str, Any]:
    params = {"employee_id": acme.ids[number], "period": PERIOD}
    [sheet] = body_of(await acme.company.owner.get("/v1/timesheets", params=params))["data"]
    found: dict[str, Any] = sheet
    return found


def day_of(sheet: dict[str, Any], day: str = DAY) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in sheet["occurrences"] if one["work_date"] == day)
    return found


async def close(client: httpx.AsyncClient, sheet: str) -> None:
    for step in ("submit", "approve", "lock"):
        body_of(await client.post(f"/v1/timesheets/{sheet}/{step}"))


async def test_a_forgotten_punch_is_asked_for_and_approved_by_the_manager(acme: Staffed) -> None:
    punches = [one for one in punches_of("E0004") if one["punched_at"] != f"{DAY}T18:00:00+08:00"]
    sheet = await month_of(acme, "E0004", punches)
    employee = await acme.company.sign_in("employee", acme.ids["E0004"])
    manager = await acme.company.sign_in("manager", acme.ids["E0001"])
    stranger = await acme.company.sign_in("employee", acme.ids["E0002"])
    refused = await acme.company.owner.post(f"/v1/timesheets/{sheet['id']}/submit")
    forgotten = {"punched_at": f"{DAY}T18:00:00+08:00", "direction": "OUT", "reason": "forgot to punch out"}

    path = f"/v1/timesheets/{sheet['id']}/corrections"
    asked = body_of(await employee.post(path, json=forgotten), 201)
    waiting = body_of(await manager.get("/v1/timesheet-corrections", params={"status": "REQUESTED"}))["data"]
    own = await employee.post(f"/v1/timesheet-corrections/{asked['id']}/approve")
    foreign = await stranger.get(f"/v1/timesheet-corrections/{asked['id']}")
    approved = body_of(await manager.post(f"/v1/timesheet-corrections/{asked['id']}/approve", json={"note": "seen"}))
    twice = await manager.post(f"/v1/timesheet-corrections/{asked['id']}/decline")

    after = await sheet_of(acme, "E0004")
    assert day_of(sheet)["status"] == "OPEN"
    assert (refused.status_code, refused.json()["reason"]) == (409, "OPEN_OCCURRENCE")
    assert [one["id"] for one in waiting] == [asked["id"]]
    assert (own.status_code, foreign.status_code) == (403, 404)
    assert (approved["status"], approved["note"]) == ("APPROVED", "seen")
    assert (twice.status_code, twice.json()["reason"]) == (409, "REQUEST_DECIDED")
    assert (day_of(after)["status"], day_of(after)["regular_minutes"]) == ("COMPLETE", 480)
    assert [one["correction_id"] for one in day_of(after)["punches"]] == [None, asked["id"]]
    assert [one["id"] for one in after["corrections"]] == [asked["id"]]


async def test_overtime_counts_up_to_the_minutes_that_were_approved(acme: Staffed) -> None:
    await month_of(acme, "E0005", punches_of("E0005", d2026_10_20=("09:00", "21:00")))
    employee = await acme.company.sign_in("employee", acme.ids["E0005"])
    manager = await acme.company.sign_in("manager", acme.ids["E0001"])
    wanted = {"employee_id": acme.ids["E0005"], "work_date": DAY, "minutes": 180, "reason": "month's end"}

    asked = body_of(await employee.post("/v1/overtime-requests", json=wanted), 201)
    before = day_of(await sheet_of(acme, "E0005"))
    path = f"/v1/overtime-requests/{asked['id']}"
    approved = body_of(await manager.post(f"{path}/approve", json={"minutes": 120}))
    mine = body_of(await employee.get("/v1/overtime-requests"))["data"]

    after = day_of(await sheet_of(acme, "E0005"))
    assert (before["overtime_workday_minutes"], before["unapproved_overtime_minutes"]) == (0, 180)
    assert (after["overtime_workday_minutes"], after["unapproved_overtime_minutes"]) == (120, 60)
    assert (approved["minutes"], approved["decided_at"] is not None) == (120, True)
    assert [one["id"] for one in mine] == [asked["id"]]
    assert body_of(await employee.get(path)) == approved


async def test_what_is_approved_or_entered_after_lock_is_an_adjustment_of_its_own_work_date(acme: Staffed) -> None:
    owner = acme.company.owner
    sheet = await month_of(acme, "E0006", punches_of("E0006", d2026_10_20=("11:00", "18:00")))
    hr = await acme.company.sign_in("hr_admin")
    await close(owner, sheet["id"])
    late = next(one for one in day_of(sheet)["punches"] if one["direction"] == "IN")
    wrong = {
        "punch_id": late["punch_id"],
        "punched_at": f"{DAY}T09:00:00+08:00",
        "direction": "IN",
        "reason": "the gate was out of order",
    }
    stayed = {
        "work_date": "2026-10-21",
        "lines": [{"pay_code": "OVERTIME", "day_kind": "WORKDAY", "minutes": 60}],
        "reason": "stocktaking",
    }

    asked = body_of(await owner.post(f"/v1/timesheets/{sheet['id']}/corrections", json=wrong), 201)
    body_of(await hr.post(f"/v1/timesheet-corrections/{asked['id']}/approve"))
    adjusted = body_of(await hr.post(f"/v1/timesheets/{sheet['id']}/adjustments", json=stayed), 201)
    gone = await hr.post(f"/v1/timesheets/{sheet['id']}/adjustments", json=stayed | {"work_date": "2026-11-02"})

    assert (day_of(sheet)["late_minutes"], sheet["sums"]["late_minutes"]) == (120, 120)
    assert (adjusted["status"], adjusted["sums"]["late_minutes"]) == ("LOCKED", 0)
    assert adjusted["sums"]["overtime_workday_minutes"] == 60
    assert [(one["work_date"], one["cause_id"]) for one in adjusted["adjustments"]] == [
        (DAY, asked["id"]),
        ("2026-10-21", None),
    ]
    assert (gone.status_code, gone.json()["reason"]) == (422, "WORK_DATE_OUTSIDE_PERIOD")


async def test_a_kiosk_names_people_by_badge_and_its_slow_clock_is_set_right(acme: Staffed) -> None:
    owner = acme.company.owner
    kiosk = await acme.company.sign_in("device")
    issued = {"employee_id": acme.ids["E0003"], "since": "2026-02-01T00:00:00Z"}
    body_of(await owner.put("/v1/badges/B-1", json=issued))
    held = await owner.put("/v1/badges/B-1", json={"employee_id": acme.ids["E0002"]})
    clock = datetime.now(UTC) - timedelta(hours=1)

    def tap_at(turn: int, badge: str = "B-1") -> dict[str, Any]:
        tapped = clock + timedelta(milliseconds=300 * turn)
        return {
            "punch_id": str(uuid4()),
            "badge_number": badge,
            "source": "DEVICE",
            "device_sequence": turn,
            "device_clock": tapped.isoformat(),
            "device_sent_at": (tapped + timedelta(seconds=1)).isoformat(),
        }

    taps = [await kiosk.post("/v1/punches", json=tap_at(turn)) for turn in (1, 2, 3)]
    stranger = await kiosk.post("/v1/punches", json=tap_at(4, "B-2"))
    employee = await acme.company.sign_in("employee", acme.ids["E0003"])
    by_badge = await employee.post("/v1/punches", json=tap_at(5))
    assigned = await kiosk.put("/v1/badges/B-9", json={"employee_id": acme.ids["E0002"]})

    results = [body_of(one) for one in taps]
    assert (held.status_code, held.json()["reason"]) == (409, "BADGE_HELD")
    assert [one.status_code for one in taps] == [201, 200, 200]
    assert [one["outcome"] for one in results] == ["RECORDED", "DUPLICATE", "DUPLICATE"]
    assert {one["employee_id"] for one in results} == {acme.ids["E0003"]}
    assert 3590 <= results[0]["clock_skew_seconds"] <= 3610
    assert datetime.now(UTC) - datetime.fromisoformat(results[0]["punched_at"]) < timedelta(minutes=2)
    assert (stranger.status_code, stranger.json()["reason"]) == (404, "BADGE_UNKNOWN")
    assert (by_badge.status_code, assigned.status_code) == (403, 403)


async def test_the_board_and_the_exceptions_show_a_manager_the_team(acme: Staffed) -> None:
    owner = acme.company.owner
    manager = await acme.company.sign_in("manager", acme.ids["E0001"])
    punches = [one for one in punches_of("E0002") if one["punched_at"] != f"{DAY}T18:00:00+08:00"]
    await month_of(acme, "E0002", punches)
    noon = {"at": f"{DAY}T12:30:00+08:00"}

    everybody = body_of(await owner.get("/v1/attendance/board", params=noon | {"department": "ENG"}))
    inside = body_of(await owner.get("/v1/attendance/board", params=noon | {"presence": "IN"}))
    first = body_of(await owner.get("/v1/attendance/board", params=noon | {"limit": 2}))
    rest = body_of(await owner.get("/v1/attendance/board", params=noon | {"cursor": first["next_cursor"]}))
    nowhere = body_of(await owner.get("/v1/attendance/board", params=noon | {"location": "MOON"}))
    team = body_of(await manager.get("/v1/attendance/board", params=noon))
    employee = await acme.company.sign_in("employee", acme.ids["E0002"])
    refused = await employee.get("/v1/attendance/board")
    missing = {"period": PERIOD, "kind": "MISSING_PUNCH", "pay_group": "CN-MONTHLY"}
    found = body_of(await owner.get("/v1/attendance/exceptions", params=missing))

    numbers = [one["employee_number"] for one in everybody["data"]]
    row = next(one for one in everybody["data"] if one["employee_number"] == "E0002")
    assert numbers == ["E0001", "E0002", "E0003", "E0004", "E0005", "E0006"]
    assert (row["presence"], row["since"], row["shift"]) == ("IN", f"{DAY}T01:00:00Z", "DAY")
    assert "E0002" in [one["employee_number"] for one in inside["data"]]
    assert [one["employee_number"] for one in first["data"] + rest["data"]] == numbers
    assert (nowhere["data"], refused.status_code) == ([], 403)
    assert [one["employee_number"] for one in team["data"]] == ["E0004", "E0005", "E0006"]
    assert [(one["employee_number"], one["work_date"], one["timesheet_status"]) for one in found["data"]] == [
        ("E0002", DAY, "OPEN")
    ]


async def test_a_correction_of_a_timesheet_that_is_not_there_is_not_found(acme: Staffed) -> None:
    forgotten = {"punched_at": f"{DAY}T18:00:00+08:00", "reason": "forgot"}

    missing = await acme.company.owner.post(f"/v1/timesheets/{uuid4()}/corrections", json=forgotten)
    decided = await acme.company.owner.post(f"/v1/timesheet-corrections/{uuid4()}/approve")

    assert (missing.status_code, missing.json()["reason"]) == (404, "TIMESHEET_NOT_FOUND")
    assert (decided.status_code, decided.json()["reason"]) == (404, "CORRECTION_NOT_FOUND")
