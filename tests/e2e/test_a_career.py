"""From promotion to rehire, as HR tells it over REST; what is agreed for a day holds from that day on by itself."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.e2e.company import Staffed, define, hire_body
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment

LEAD = {"amount": "30000.00", "currency": "CNY", "unit": "MONTH"}


@pytest.fixture(scope="module")
async def firm(deployment: Deployment) -> AsyncIterator[Staffed]:
    """A company with three departments, three positions and nobody in it."""
    async with a_company(deployment) as company:
        await define(company.owner)
        for path, body in (
            ("departments/SALES", {"name": "Sales", "parent": "HQ"}),
            ("positions/LEAD", {"name": "Lead", "headcount": 2}),
            ("positions/SELLER", {"name": "Seller", "department": "SALES", "headcount": 3}),
        ):
            body_of(await company.owner.put(f"/v1/{path}", json={"effective_date": "2019-01-01", **body}))
        yield Staffed(company)


class Person:
    """An employee as HR deals with them: every change is made to the version that was seen last."""

    def __init__(self, owner: httpx.AsyncClient, hired: dict[str, Any]) -> None:
        self.owner = owner
        self.id = hired["id"]
        self.version = hired["version"]

    @property
    def path(self) -> str:
        """Where the person is found."""
        return f"/v1/employees/{self.id}"

    async def tell(self, what: str, **body: Any) -> httpx.Response:
        """A change, done or refused."""
        response = await self.owner.post(f"{self.path}/{what}", json=body, headers={"If-Match": f'"{self.version}"'})
        if response.is_success:
            self.version = response.json()["version"]
        return response

    async def done(self, what: str, **body: Any) -> dict[str, Any]:
        """A change that is done."""
        made: dict[str, Any] = body_of(await self.tell(what, **body), 201)
        return made

    async def cancelled(self, change_id: str) -> dict[str, Any]:
        """A recorded change that is taken back."""
        made: dict[str, Any] = body_of(await self.owner.delete(f"{self.path}/future-changes/{change_id}"))
        self.version = made["version"]
        return made

    async def on(self, day: str) -> dict[str, Any]:
        """What holds on a day."""
        found: dict[str, Any] = body_of(await self.owner.get(self.path, params={"as_of": day}))
        return found

    async def history(self) -> dict[str, Any]:
        """What was recorded."""
        found: dict[str, Any] = body_of(await self.owner.get(f"{self.path}/history"))
        return found


async def a_person(firm: Staffed, number: str, **changes: Any) -> Person:
    """Somebody who is hired; `changes` are of the assignment."""
    body = hire_body(number)
    body["assignment"] |= changes
    return Person(firm.company.owner, body_of(await firm.company.owner.post("/v1/employees", json=body), 201))


async def numbers(firm: Staffed, **query: Any) -> set[str]:
    """The employee numbers of a list."""
    listed = body_of(await firm.company.owner.get("/v1/employees", params=query))["data"]
    return {one["employee_number"] for one in listed}


async def test_a_promotion_changes_job_and_pay_on_one_day(firm: Staffed) -> None:
    li = await a_person(firm, "PROMOTED")

    await li.done(
        "promotions", effective_date="2027-01-01", assignment={"position": "LEAD", "grade": "P7"}, compensation=LEAD
    )

    eve, day = await li.on("2026-12-31"), await li.on("2027-01-01")
    assert (eve["assignment"]["position"], eve["compensation"]["amount"]) == ("ENGINEER", "20000.00")
    assert (day["assignment"]["position"], day["compensation"]) == ("LEAD", LEAD)
    assert (eve["assignment"]["grade"], day["assignment"]["grade"]) == (None, "P7")
    promotion = (await li.history())["data"][-1]
    assert (promotion["kind"], set(promotion["fields"])) == ("PROMOTION", {"position", "grade", "compensation"})
    boss = await a_person(firm, "SEES-NO-PAY")
    await li.done("manager-changes", effective_date="2026-02-01", manager_id=boss.id)
    assert (await li.history())["data"][-1]["kind"] == "MANAGER"
    manager = await firm.company.sign_in("manager", boss.id)
    seen = body_of(await manager.get(li.path, params={"as_of": "2027-01-01"}))
    told = body_of(await manager.get(f"{li.path}/history"))["data"][1]["fields"]
    assert (seen["assignment"]["position"], seen["assignment"]["grade"]) == ("LEAD", None)
    assert (told["position"], told["grade"], told["compensation"]) == ("LEAD", "***", "***")


async def test_a_team_moves_to_its_new_manager_on_the_day_and_never_in_a_circle(firm: Staffed) -> None:
    boss, middle = await a_person(firm, "BOSS"), await a_person(firm, "MIDDLE")
    await middle.done("manager-changes", effective_date="2027-02-01", manager_id=boss.id)
    junior = await a_person(firm, "JUNIOR", manager_id=middle.id)

    circle = await boss.tell("manager-changes", effective_date="2027-01-01", manager_id=junior.id)
    before = await boss.tell("manager-changes", effective_date="2026-12-01", manager_id=junior.id)
    oneself = await boss.tell("manager-changes", effective_date="2026-12-01", manager_id=boss.id)

    assert [refusal.json()["reason"] for refusal in (circle, before, oneself)] == ["MANAGER_CYCLE"] * 3
    assert "from 2027-02-01 on" in circle.json()["detail"]
    assert await numbers(firm, manager_id=boss.id, as_of="2027-01-31") == set()
    assert await numbers(firm, manager_id=boss.id, as_of="2027-02-01") == {"MIDDLE"}


async def test_a_change_for_a_coming_day_can_be_called_off(firm: Staffed) -> None:
    li = await a_person(firm, "STAYS")
    await li.done("transfers", effective_date="2027-03-01", assignment={"department": "SALES", "position": None})
    planned = (await li.history())["data"][-1]
    assert await numbers(firm, department="SALES", as_of="2027-02-28") == set()
    assert await numbers(firm, department="SALES", as_of="2027-03-01") == {"STAYS"}

    await li.cancelled(planned["id"])

    assert (await li.on("2027-03-01"))["assignment"]["department"] == "ENG"
    assert await numbers(firm, department="SALES", as_of="2027-03-01") == set()
    again = await li.owner.delete(f"{li.path}/future-changes/{planned['id']}")
    assert (again.status_code, again.json()["reason"]) == (409, "CHANGE_NO_LONGER_STANDS")


async def test_who_leaves_and_comes_back_keeps_id_and_number(firm: Staffed) -> None:
    li = await a_person(firm, "RETURNS")
    await li.done("compensation-changes", effective_date="2027-06-01", compensation=LEAD)
    await li.done("terminations", end_date="2027-03-31", end_reason="RESIGNATION")
    last_day, after = await li.on("2027-03-31"), await li.on("2027-04-01")
    early = await li.tell("rehires", hire_date="2027-03-31", assignment=hire_body("")["assignment"])

    await li.done("rehires", hire_date="2027-09-01", assignment=hire_body("")["assignment"], compensation=LEAD)

    back = await li.on("2027-09-01")
    assert (last_day["status"], after["status"], back["status"]) == ("ACTIVE", "TERMINATED", "ACTIVE")
    assert early.json()["reason"] == "SPELLS_OVERLAP"
    assert (back["id"], back["employee_number"]) == (li.id, "RETURNS")
    assert back["assignment"]["id"] != last_day["assignment"]["id"]
    assert back["statutory_profiles"] == []
    history = await li.history()
    assert [(spell["hire_date"], spell["end_date"]) for spell in history["employments"]] == [
        ("2026-01-05", "2027-03-31"),
        ("2027-09-01", None),
    ]


async def test_a_rehire_a_termination_and_a_hire_are_rescinded_one_by_one(firm: Staffed) -> None:
    li = await a_person(firm, "RESCINDED")
    await li.done("compensation-changes", effective_date="2027-06-01", compensation=LEAD)
    await li.done("terminations", end_date="2027-03-31", end_reason="RESIGNATION")
    await li.done("rehires", hire_date="2027-09-01", assignment=hire_body("")["assignment"])
    hire, _, termination, rehire = (await li.history())["data"]

    await li.cancelled(rehire["id"])
    gone = await li.on("2027-09-01")
    await li.cancelled(termination["id"])
    stays = await li.on("2027-09-01")
    await li.cancelled(hire["id"])
    never = await li.on("2027-09-01")

    assert (gone["status"], gone["employment"]["end_date"]) == ("TERMINATED", "2027-03-31")
    assert (stays["status"], stays["compensation"]) == ("ACTIVE", LEAD)
    assert (never["status"], never["assignment"], never["employment"]["hire_date"]) == ("TERMINATED", None, None)
    assert never["person"]["legal_name"] == "Person RESCINDED"
    assert "RESCINDED" not in await numbers(firm, status="ACTIVE", as_of="2027-09-01")


async def test_a_hire_that_was_postponed_twice_is_rescinded(firm: Staffed) -> None:
    li = await a_person(firm, "POSTPONED")
    hire = (await li.history())["data"][0]["id"]
    await li.done("corrections", change_id=hire, effective_date="2026-02-02")
    second = await li.done("corrections", change_id=(await li.history())["data"][-1]["id"], effective_date="2026-03-02")
    postponed = (await li.history())["data"][-1]["id"]
    await li.done("compensation-changes", effective_date="2027-01-01", compensation=LEAD)

    once = await li.cancelled(postponed)
    raised = await li.on("2027-01-01")
    await li.cancelled(hire)
    never = await li.on("2027-01-01")

    assert (second["employment"]["hire_date"], once["employment"]["hire_date"]) == ("2026-03-02", "2026-02-02")
    assert raised["compensation"] == LEAD
    assert (never["status"], never["assignment"]) == ("TERMINATED", None)


async def test_statutory_answers_of_each_country_change_on_their_own_days(firm: Staffed) -> None:
    li = await a_person(firm, "STATUTORY")
    for day, country, values in (
        ("2026-07-01", "CN", {"housing_fund_rate": "0.05", "injury_rate": ""}),
        ("2027-04-06", "GB", {"tax_code": "1257L"}),
    ):
        await li.done(
            "statutory-profiles", effective_date=day, statutory_profile={"country": country, "values": values}
        )

    june, july, april = [await li.on(day) for day in ("2026-06-30", "2026-07-01", "2027-04-06")]

    assert june["statutory_profiles"][0]["values"]["housing_fund_rate"] == "0.07"
    assert july["statutory_profiles"][0]["values"]["housing_fund_rate"] == "0.05"
    assert "injury_rate" not in july["statutory_profiles"][0]["values"]
    assert july["statutory_profiles"][0]["values"]["social_insurance_city"] == "SHANGHAI"
    assert [one["country"] for one in april["statutory_profiles"]] == ["CN", "GB"]


async def test_the_net_pay_is_split_over_accounts_that_take_all_of_it(firm: Staffed) -> None:
    li = await a_person(firm, "SPLIT")
    parts: list[dict[str, Any]] = [
        {"amount": {"amount": "1500.00", "currency": "CNY"}},
        {"share_percent": "40"},
        {},
    ]
    accounts = [
        {"holder_name": "Li Wei", "account_number": f"6222-{index}", **part} for index, part in enumerate(parts)
    ]

    lacking = await li.tell("bank-accounts", effective_date="2026-12-01", bank_accounts=accounts[:2])
    done = await li.done("bank-accounts", effective_date="2026-12-01", bank_accounts=accounts)

    assert (lacking.status_code, lacking.json()["reason"]) == (422, "FACT_OUT_OF_RANGE")
    assert "sum to 40" in lacking.json()["detail"]
    assert [(one["amount"], one["share_percent"]) for one in done["person"]["bank_accounts"]] == [
        ({"amount": "1500.00", "currency": "CNY"}, None),
        (None, "40"),
        (None, None),
    ]
    assert (await li.on("2026-11-30"))["person"]["bank_accounts"] == []
    auditor = await firm.company.sign_in("auditor")
    seen = body_of(await auditor.get(li.path, params={"as_of": "2026-12-01"}))
    assert seen["person"]["bank_accounts"] is None
    recorded = (await li.history())["data"][-1]
    assert recorded["fields"] == {"bank_accounts": "***"}


async def test_a_department_moves_with_its_people_and_closes_once_it_is_empty(firm: Staffed) -> None:
    owner = firm.company.owner
    body_of(
        await owner.put(
            "/v1/departments/LAB", json={"effective_date": "2026-01-01", "name": "Laboratory", "parent": "ENG"}
        )
    )
    li = await a_person(firm, "CHEMIST", department="LAB", position=None)
    closing = {"effective_date": "2027-07-01", "reason": "REORGANISATION"}

    body_of(
        await owner.put(
            "/v1/departments/LAB", json={"effective_date": "2027-01-01", "name": "Laboratory", "parent": "SALES"}
        )
    )
    refused = await owner.post("/v1/departments/LAB/closings", json=closing)
    await li.done("transfers", effective_date="2027-07-01", assignment={"department": "ENG"})
    closed = await owner.post("/v1/departments/LAB/closings", json=closing)
    back = await li.tell("transfers", effective_date="2027-08-01", assignment={"department": "LAB"})

    assert (refused.status_code, refused.json()["reason"]) == (409, "ENTRY_IN_USE")
    assert refused.json()["facts"]["employee_numbers"] == "CHEMIST"
    assert refused.json()["detail"].startswith("1 employee has LAB from 2027-07-01 on (CHEMIST)")
    assert body_of(closed, 201)["closed_from"] == "2027-07-01"
    assert closed.headers["etag"] == f'"{closed.json()["version"]}"'
    assert back.json()["reason"] == "ENTRY_NOT_VALID"

    async def above_the_lab(day: str) -> list[str]:
        found = body_of(await owner.get("/v1/org-chart", params={"as_of": day}))
        return [one["parent"] for one in found["departments"] if one["code"] == "LAB"]

    assert [await above_the_lab(day) for day in ("2025-12-31", "2026-12-31", "2027-06-30", "2027-07-01")] == [
        [],
        ["ENG"],
        ["SALES"],
        [],
    ]
    parent = await owner.post("/v1/departments/HQ/closings", json=closing)
    assert parent.json()["facts"] | {"used_by": ""} == {"code": "HQ", "count": "2", "used_by": ""}
    employee = await firm.company.sign_in("employee", li.id)
    assert (await employee.post("/v1/departments/SALES/closings", json=closing)).status_code == 403


async def test_the_org_chart_is_read_as_it_was_known(firm: Staffed) -> None:
    owner = firm.company.owner
    put = {"effective_date": "2026-01-01", "name": "Archive", "parent": "HQ"}
    body_of(await owner.put("/v1/departments/ARCHIVE", json=put))
    before = body_of(await owner.get("/v1/org-chart"))["published_at"]
    body_of(await owner.put("/v1/departments/ARCHIVE", json=put | {"name": "Records"}))

    async def name_known_at(**query: Any) -> list[str | None]:
        chart = body_of(await owner.get("/v1/org-chart", params=query))
        one = await owner.get("/v1/departments/ARCHIVE", params=query)
        return [
            next((each["name"] for each in chart["departments"] if each["code"] == "ARCHIVE"), None),
            one.json().get("name"),
        ]

    assert await name_known_at() == ["Records", "Records"]
    assert await name_known_at(known_at=before) == ["Archive", "Archive"]
    assert await name_known_at(known_at="2020-01-01T00:00:00Z") == [None, None]
    counted = body_of(await owner.get("/v1/headcount", params={"known_at": "2020-01-01T00:00:00Z"}))
    assert counted["data"] == []
    both = await owner.get("/v1/org-chart", params={"known_at": before, "version": 1})
    assert (both.status_code, both.json()["errors"][0]["field"]) == (422, "known_at")


async def test_a_headcount_says_what_is_planned_taken_and_free_on_any_day(firm: Staffed) -> None:
    seller = {"department": "SALES", "position": "SELLER"}
    await a_person(firm, "SELLER-1", **seller)
    second = await a_person(firm, "SELLER-2", **seller)
    await second.done("terminations", end_date="2028-06-30", end_reason="RETIREMENT")

    async def sellers(day: str) -> dict[str, Any]:
        listed = body_of(await firm.company.owner.get("/v1/headcount", params={"as_of": day}))["data"]
        found: dict[str, Any] = next(one for one in listed if one["position"] == "SELLER")
        return found

    whole = {"position": "SELLER", "name": "Seller", "department": "SALES", "planned": 3}
    assert await sellers("2026-01-04") == whole | {"filled": 0, "vacant": 3}
    assert await sellers("2028-06-30") == whole | {"filled": 2, "vacant": 1}
    assert await sellers("2028-07-01") == whole | {"filled": 1, "vacant": 2}
