"""With another tenant's real ids every operation of the OpenAPI document answers as if they were not there."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.e2e.company import PERIOD, Staffed, define, hire_body, punches_of, staffed, until_calculated
from tests.e2e.examples import Operation, example_of, operations_of
from tests.e2e.tenants import Company, a_company, body_of
from tests.support.deployment import Deployment
from tests.support.parking import park_an_event_of

NO_ID = re.compile(r"/v1/(token|token/refresh|me|org-chart)$|/.well-known/jwks.json$")
KINDS = {
    "legal-entities": "ACME-CN",
    "withholding-registrations": "ACME-CN-TAX",
    "locations": "SHANGHAI",
    "departments": "ENG",
    "positions": "ENGINEER",
    "shifts": "DAY",
    "work-schedules": "STANDARD-5X8",
    "holiday-calendars": "CN",
    "overtime-policies": "CN",
    "time-calendars": "CN-MONTH",
    "pay-groups": "CN-MONTHLY",
    "pay-components": "",  # filled in: the first component of the standard set
}


class Owned:
    """A tenant with one of everything, and the ids of it."""

    def __init__(self, acme: Staffed) -> None:
        self.acme = acme
        self.ids: dict[str, str] = {}
        self.codes = dict(KINDS)

    async def fill(self) -> None:
        """Make one of everything."""
        owner, employee = self.acme.company.owner, self.acme.ids["E0002"]
        preparer = await self.acme.company.sign_in("payroll_admin")
        body_of(await owner.post("/v1/punches/batch", json={"punches": punches_of("E0002") + punches_of("E0003")}))
        found = await owner.get("/v1/timesheets", params={"employee_id": employee, "period": PERIOD})
        sheet = body_of(found)["data"][0]
        # Another month stays open, so that an absence can stand in it.
        november = {
            "punch_id": str(uuid4()),
            "employee_id": employee,
            "punched_at": "2026-11-02T09:00:00+08:00",
            "source": "DEVICE",
        }
        open_sheet = body_of(await owner.post("/v1/punches", json=november), 201)["timesheet_id"]
        absence = {"code": "UNPAID", "start_date": "2026-11-20"}
        absent = body_of(await owner.post(f"/v1/timesheets/{open_sheet}/absences", json=absence), 201)
        forgotten = {"punched_at": "2026-11-02T18:00:00+08:00", "direction": "OUT", "reason": "forgot"}
        correction = body_of(await owner.post(f"/v1/timesheets/{open_sheet}/corrections", json=forgotten), 201)
        late = {"employee_id": employee, "work_date": "2026-11-02", "minutes": 60, "reason": "month's end"}
        overtime = body_of(await owner.post("/v1/overtime-requests", json=late), 201)
        body_of(await owner.put("/v1/badges/B-1047", json={"employee_id": employee}))
        closing = body_of(
            await owner.post("/v1/timesheet-closings", json={"pay_group": "CN-MONTHLY", "period": PERIOD}), 202
        )
        account = body_of(await owner.post("/v1/accounts", json={"login": "bob@example.com"}), 201)
        granted = body_of(await owner.post(f"/v1/accounts/{account['id']}/grants", json={"role": "employee"}), 201)
        history = body_of(await owner.get(f"/v1/employees/{employee}/history"))["data"]
        components = body_of(await owner.get("/v1/pay-components"))["data"]
        self.codes["pay-components"] = components[0]["code"]
        run = body_of(
            await preparer.post(
                "/v1/payroll-runs", json={"pay_group": "CN-MONTHLY", "period": PERIOD, "kind": "REGULAR"}
            ),
            201,
        )
        body_of(await preparer.post(f"/v1/payroll-runs/{run['id']}/calculate"), 202)
        await until_calculated(preparer, run["id"])
        payslip = body_of(await preparer.get(f"/v1/payroll-runs/{run['id']}/payslips"))["data"][0]
        lines = body_of(await preparer.get(f"/v1/payslips/{payslip['id']}"))["lines"]
        self.line = lines[0]["code"]
        parked = await park_an_event_of(self.acme.company, employee)
        bonus = {
            "employee_id": employee,
            "pay_group": "CN-MONTHLY",
            "period": "2026-12",
            "component": "BONUS",
            "amount": {"amount": "1.00", "currency": "CNY"},
        }
        pay_input = body_of(await preparer.post("/v1/pay-inputs", json=bonus), 201)
        endpoint = body_of(await owner.post("/v1/webhook-endpoints", json={"url": "https://hooks.example.com/"}), 201)
        ping = body_of(await owner.post(f"/v1/webhook-endpoints/{endpoint['id']}/test"), 202)
        self.ids = {
            "employee_id": employee,
            "change_id": history[0]["id"],
            "timesheet_id": open_sheet,
            "absence_id": absent["absences"][0]["id"],
            "correction_id": correction["id"],
            "overtime_request_id": overtime["id"],
            "badge_number": "B-1047",
            "closing_id": closing["id"],
            "account_id": account["id"],
            "grant_id": granted["grants"][0]["id"],
            "run_id": run["id"],
            "payslip_id": payslip["id"],
            "pay_input_id": pay_input["id"],
            "work_item_id": f"organization.{parked.consumer}.{parked.event_id}",
            "endpoint_id": endpoint["id"],
            "delivery_id": ping["delivery_id"],
            "manager_id": self.acme.ids["E0001"],
        }
        assert sheet["id"] != open_sheet

    def path_of(self, operation: Operation) -> str:
        """The operation's path with our ids and codes in it."""
        path = operation.path
        for parameter in operation.parameters("path"):
            name = parameter["name"]
            if name == "code":
                value = self.line if "/lines/" in path else self.codes[path.split("/")[2]]
            else:
                value = self.ids[name]
            path = path.replace("{" + name + "}", value)
        return path


def named_in_body(operation: Operation) -> set[str]:
    """The ids of other things that its body may name."""
    schema = operation.body_schema
    if schema is None:
        return set()
    found: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                walk(operation.document["components"]["schemas"][part["$ref"].rpartition("/")[2]])
            found.update(set(part.get("properties", {})) & {"employee_id", "employees"})
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    walk(schema)
    return found


def request_of(operation: Operation, owned: Owned, ids: dict[str, str]) -> dict[str, Any]:
    """What to send: a body that the document calls valid, naming `ids` wherever it can."""
    sent: dict[str, Any] = {"headers": {"If-Match": '"1"'} if operation.needs_if_match else {}}
    if operation.body_schema is not None:
        body_ids: dict[str, Any] = {key: value for key, value in ids.items() if key in ("employee_id", "change_id")}
        body_ids |= {"pay_group": "CN-MONTHLY", "component": "BONUS"}
        if operation.path == "/v1/payroll-runs":
            body_ids["employees"] = [ids["employee_id"]]
        body = example_of(operation.body_schema, operation.document, body_ids)
        if operation.path in ("/v1/punches", "/v1/timesheets/{timesheet_id}/corrections"):
            body["punched_at"] = "2026-10-09T09:00:00+08:00"
        if operation.path.endswith("/compensation-changes"):
            body["compensation"] = {"amount": "1.00", "currency": "CNY", "unit": "MONTH"}
        if operation.path == "/v1/payroll-runs":
            body |= {"kind": "OFF_CYCLE", "pay_date": "2026-12-05", "reason": "test"}
        sent["json"] = body
    return sent


@pytest.fixture(scope="module")
async def owned(deployment: Deployment) -> AsyncIterator[Owned]:
    """Tenant A, with one of everything."""
    async with a_company(deployment) as company:
        found = Owned(await staffed(company))
        await found.fill()
        yield found


@pytest.fixture(scope="module")
async def stranger(deployment: Deployment) -> AsyncIterator[Company]:
    """Tenant B, empty."""
    async with a_company(deployment) as company:
        yield company


@pytest.fixture(scope="module")
async def document(stranger: Company) -> dict[str, Any]:
    """The published document."""
    found: dict[str, Any] = body_of(await stranger.owner.get("/openapi.json"))
    return found


async def test_every_operation_hides_what_belongs_to_another_tenant(
    owned: Owned, stranger: Company, document: dict[str, Any]
) -> None:
    owner, other = owned.acme.company.owner, stranger.owner
    told, asked, unasked = [], [], []
    for operation in operations_of(document):
        path, names = owned.path_of(operation), named_in_body(operation)
        in_path = bool(operation.parameters("path")) and operation.method != "put"
        in_query = [
            one["name"] for one in operation.parameters("query") if one["name"] in ("employee_id", "manager_id")
        ]
        if not in_path and not names and not in_query:
            unasked.append(operation.name)
            continue
        if operation.path in ("/v1/punches/batch", "/v1/employees/batch"):
            continue  # answers item by item, see below
        if operation.method == "get":
            query = {
                one["name"]: example_of(one["schema"], document, {})
                for one in operation.parameters("query")
                if one["required"]
            }
            query |= {name: owned.ids[name] for name in in_query}
            if operation.path.endswith("/periods"):
                query |= {"from_date": "2026-01-01", "to_date": "2026-12-31"}
            mine, theirs = await owner.get(path, params=query), await other.get(path, params=query)
            assert mine.status_code == 200, f"{operation.name}: {mine.text}"
        else:
            sent = request_of(operation, owned, owned.ids)
            theirs = await other.request(operation.method.upper(), path, **sent)
        asked.append(operation.name)
        if theirs.status_code != 404:
            told.append((operation.name, theirs.status_code, theirs.text[:200]))

    assert told == []
    assert len(asked) > 45
    assert all(NO_ID.search(name) or name.startswith(("PUT ", "GET ", "POST ")) for name in unasked)


async def test_a_foreign_id_is_answered_like_one_that_never_was(
    owned: Owned, stranger: Company, document: dict[str, Any]
) -> None:
    for operation in operations_of(document):
        if operation.method != "get" or not operation.parameters("path") or "{code}" in operation.path:
            continue
        foreign = owned.path_of(operation)
        never = operation.path
        for parameter in operation.parameters("path"):
            value = "bm9uZQ" if parameter["name"] == "closing_id" else str(uuid4())
            never = never.replace("{" + parameter["name"] + "}", value)

        one, two = await stranger.owner.get(foreign), await stranger.owner.get(never)

        assert one.status_code == two.status_code == 404, operation.name
        assert _without_instance(one) == _without_instance(two), operation.name


async def test_a_batch_hides_it_item_by_item(owned: Owned, stranger: Company) -> None:
    punches = [
        {
            "punch_id": str(uuid4()),
            "employee_id": employee,
            "punched_at": "2026-10-09T09:00:00+08:00",
            "source": "IMPORT",
        }
        for employee in (owned.ids["employee_id"], str(uuid4()))
    ]

    results = body_of(await stranger.owner.post("/v1/punches/batch", json={"punches": punches}))["results"]

    assert [one["outcome"] for one in results] == ["REFUSED", "REFUSED"]
    assert results[0]["refusal"] == results[1]["refusal"]
    assert results[0]["employee_id"] in (None, owned.ids["employee_id"])


async def test_another_tenants_person_cannot_be_a_manager(owned: Owned, deployment: Deployment) -> None:
    async with a_company(deployment) as third:
        await define(third.owner)

        async def hired(manager: str) -> httpx.Response:
            body = hire_body("E0001")
            return await third.owner.post(
                "/v1/employees", json=body | {"assignment": body["assignment"] | {"manager_id": manager}}
            )

        foreign, never = await hired(owned.ids["manager_id"]), await hired(str(uuid4()))

    assert foreign.status_code == never.status_code == 409
    assert foreign.json()["reason"] == never.json()["reason"]


async def test_lists_hold_nothing_of_another_tenant(owned: Owned, stranger: Company, document: dict[str, Any]) -> None:
    for operation in operations_of(document):
        required = [one["name"] for one in operation.parameters("query") if one["required"]]
        if operation.method != "get" or operation.parameters("path") or required:
            continue
        response = await stranger.owner.get(operation.path)

        # The owner is nobody's employee: of their own there is nothing, and it is said so.
        none_of_ones_own = operation.path.startswith("/v1/me/") and response.json().get("reason") == "NOT_AN_EMPLOYEE"
        assert response.status_code == (404 if none_of_ones_own else 200), operation.name
        for value in (*owned.ids.values(), owned.acme.company.tenant_id, "E0002@example.com"):
            assert value not in response.text, operation.name


async def test_nothing_of_the_owner_was_changed(owned: Owned) -> None:
    owner = owned.acme.company.owner

    employee = body_of(await owner.get(f"/v1/employees/{owned.ids['employee_id']}"))
    run = body_of(await owner.get(f"/v1/payroll-runs/{owned.ids['run_id']}"))
    account = body_of(await owner.get(f"/v1/accounts/{owned.ids['account_id']}"))

    assert employee["version"] == 1
    assert run["status"] == "CALCULATED"
    assert account["status"] == "ACTIVE"
    assert len(account["grants"]) == 1


async def test_the_owner_reaches_every_one_of_them(owned: Owned, document: dict[str, Any]) -> None:
    """Last, because it changes them: what the stranger did not find is there."""
    missed = []

    def turn(operation: Operation) -> int:
        # A run that is calculated anew has new payslips, so those go first; a deleted endpoint is gone with its log.
        if operation.path.startswith("/v1/payslips"):
            return 0
        return 2 if operation.name == "DELETE /v1/webhook-endpoints/{endpoint_id}" else 1

    for operation in sorted(operations_of(document), key=turn):
        if operation.method == "get" or not (operation.parameters("path") or named_in_body(operation)):
            continue
        sent = request_of(operation, owned, owned.ids)
        response = await owned.acme.company.owner.request(operation.method.upper(), owned.path_of(operation), **sent)
        if response.status_code == 404 or response.status_code >= 500:
            missed.append((operation.name, response.status_code, response.text[:200]))

    assert missed == []


def _without_instance(response: httpx.Response) -> dict[str, Any]:
    document: dict[str, Any] = response.json()
    document.pop("instance")
    return document
