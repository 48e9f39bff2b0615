"""A payroll office at work, over both forms: what changed against last month, the register, pay beside the month."""

import csv
import io
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.e2e.company import Staffed, define, hire_body, until_calculated
from tests.e2e.tenants import a_company, body_of
from tests.support.deployment import Deployment


class Office:
    """The company, who prepares and who approves."""

    def __init__(self, acme: Staffed, preparer: httpx.AsyncClient, approver: httpx.AsyncClient) -> None:
        self.acme, self.preparer, self.approver = acme, preparer, approver

    async def close(self, period: str) -> None:
        """Everybody's time of a month."""
        closing = {"pay_group": "CN-MONTHLY", "period": period}
        body_of(await self.acme.company.owner.post("/v1/timesheet-closings", json=closing), 202)

    async def calculated(self, period: str, **changes: Any) -> dict[str, Any]:
        """A run, calculated."""
        wanted = {"pay_group": "CN-MONTHLY", "period": period, "kind": "REGULAR", **changes}
        run = body_of(await self.preparer.post("/v1/payroll-runs", json=wanted), 201)
        body_of(await self.preparer.post(f"/v1/payroll-runs/{run['id']}/calculate"), 202)
        found: dict[str, Any] = await until_calculated(self.preparer, run["id"])
        return found

    async def final(self, run: dict[str, Any]) -> dict[str, Any]:
        """Approved by a second person, and final."""
        seen = {"calculation_hash": run["calculation_hash"]}
        body_of(await self.approver.post(f"/v1/payroll-runs/{run['id']}/approve", json=seen))
        done: dict[str, Any] = body_of(await self.preparer.post(f"/v1/payroll-runs/{run['id']}/finalize"))
        return done

    async def payslip(self, run: dict[str, Any], number: str) -> dict[str, Any]:
        """Somebody's payslip of a run."""
        listed = body_of(await self.preparer.get(f"/v1/payroll-runs/{run['id']}/payslips"))["data"]
        found = next(one["id"] for one in listed if one["employee_id"] == self.acme.ids[number])
        payslip: dict[str, Any] = body_of(await self.preparer.get(f"/v1/payslips/{found}"))
        return payslip


@pytest.fixture
async def office(deployment: Deployment) -> AsyncIterator[Office]:
    """Two people on fixed hours, one with an odd name."""
    async with a_company(deployment) as company:
        await define(company.owner)
        acme = Staffed(company)
        for number, name in (("E0001", "Li Wei"), ("E0002", "=HYPERLINK(0), Wang")):
            body = hire_body(number, schedule="FIXED-5X8")
            body["person"]["legal_name"] = name
            acme.ids[number] = body_of(await company.owner.post("/v1/employees", json=body), 201)["id"]
        yield Office(acme, await company.sign_in("payroll_admin"), await company.sign_in("payroll_approver"))


def amounts(payslip: dict[str, Any]) -> dict[str, str]:
    """By component."""
    return {line["code"]: line["amount"]["amount"] for line in payslip["lines"]}


async def test_the_office_sees_what_changed_and_exports_the_register(office: Office) -> None:
    await office.close("2026-09")
    first = await office.calculated("2026-09")
    before = body_of(await office.preparer.get(f"/v1/payroll-runs/{first['id']}/variance"))
    await office.final(first)
    raised = {
        "effective_date": "2026-10-01",
        "compensation": {"amount": "22000.00", "currency": "CNY", "unit": "MONTH"},
        "reason": "REVIEW",
    }
    employee = office.acme.ids["E0001"]
    owner = office.acme.company.owner
    etag = (await owner.get(f"/v1/employees/{employee}")).headers["etag"]
    changes = f"/v1/employees/{employee}/compensation-changes"
    body_of(await owner.post(changes, json=raised, headers={"If-Match": etag}), 201)
    await office.close("2026-10")
    second = await office.calculated("2026-10")

    variance = body_of(await office.preparer.get(f"/v1/payroll-runs/{second['id']}/variance"))
    exported = await office.approver.get(f"/v1/payroll-runs/{second['id']}/register", params={"bom": "true"})
    plain = await office.approver.get(f"/v1/payroll-runs/{second['id']}/register")
    manager = await office.acme.company.sign_in("manager", employee)
    refused = await manager.get(f"/v1/payroll-runs/{second['id']}/register")

    assert before["previous_run_id"] is None
    assert variance["previous_run_id"] == first["id"]
    lines = {line["code"]: line for one in variance["data"] if one["employee_id"] == employee for line in one["lines"]}
    assert lines["BASE"]["delta"] == {"amount": "2000.00", "currency": "CNY"}
    assert lines["BASE"]["reasons"] == ["COMPENSATION_CHANGED"]
    assert "OTHER" not in [reason for one in variance["data"] for line in one["lines"] for reason in line["reasons"]]
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.content.decode() == "\ufeff" + plain.text
    rows = list(csv.DictReader(io.StringIO(plain.text)))
    assert [row["employee_number"] for row in rows] == [*sorted(row["employee_number"] for row in rows[:-1]), "TOTAL"]
    assert {row["name"] for row in rows} == {"Li Wei", "'=HYPERLINK(0), Wang", ""}
    assert sum(Decimal(row["net"]) for row in rows[:-1]) == Decimal(rows[-1]["net"])
    assert (rows[-1]["gross"], rows[-1]["net"]) == (
        second["totals"]["gross"]["amount"],
        second["totals"]["net"]["amount"],
    )
    assert refused.status_code == 403


async def test_a_year_that_began_elsewhere_goes_on_and_a_bonus_is_paid_beside_the_month(office: Office) -> None:
    employee, colleague = office.acme.ids["E0001"], office.acme.ids["E0002"]
    balance = {
        "employee_id": employee,
        "gross": "160000.00",
        "deductions": "31560.00",
        "net": "128440.00",
        "statutory": {
            "income": "160000",
            "contributions": "28000",
            "special_additional": "12000",
            "tax": "5480",
            "months": "8",
        },
    }
    wanted = {
        "pay_group": "CN-MONTHLY",
        "period": "2026-08",
        "source": "Statement of Old Co",
        "source_date": "2026-09-05",
        "balances": [balance],
    }
    imported = body_of(await office.preparer.post("/v1/opening-balances", json=wanted), 201)
    foreign = await office.preparer.post(
        "/v1/opening-balances", json={**wanted, "balances": [{**balance, "employee_id": imported["id"]}]}
    )
    await office.final(imported)
    await office.close("2026-09")
    september = await office.final(await office.calculated("2026-09"))
    payslip = await office.payslip(september, "E0001")
    other = await office.payslip(september, "E0002")
    bonus = {
        "employee_id": colleague,
        "pay_group": "CN-MONTHLY",
        "period": "2026-09",
        "component": "BONUS",
        "amount": {"amount": "36000.00", "currency": "CNY"},
        "run_kind": "OFF_CYCLE",
    }
    body_of(await office.preparer.post("/v1/pay-inputs", json=bonus), 201)
    off = await office.calculated(
        "2026-09", kind="OFF_CYCLE", pay_date="2026-10-12", employees=[colleague], reason="annual bonus"
    )
    beside = await office.payslip(await office.final(off), "E0002")
    paying = f"/v1/payroll-runs/{september['id']}/payments"
    pending = body_of(await office.preparer.get(paying))["data"]
    partly = body_of(await office.preparer.post(f"{paying}/settle", json={"employees": [employee]}))
    refused = await office.approver.post(f"{paying}/settle", json={"employees": [colleague]})
    failed = {"employees": [colleague], "reason": "Account closed"}
    body_of(await office.preparer.post(f"{paying}/return", json=failed))
    paid = body_of(await office.preparer.post(f"{paying}/settle", json={"employees": [colleague]}))

    assert (imported["kind"], imported["status"], foreign.status_code) == ("OPENING", "CALCULATED", 404)
    assert payslip["year_to_date"]["totals"]["months"] == "9"
    assert payslip["year_to_date"]["totals"]["gross"] == "180000"
    assert other["year_to_date"]["totals"]["months"] == "1"
    assert Decimal(amounts(payslip)["IIT"]) > Decimal(amounts(other)["IIT"])
    assert off["progress"] == {"done": 1, "blocked": 0, "stale": 0, "total": 1, "deferred": 0}
    assert {one["status"] for one in pending} == {"PENDING"}
    assert {one["amount"]["amount"] for one in pending} == {payslip["net"]["amount"], other["net"]["amount"]}
    assert (partly["status"], partly["payments"]) == ("PARTIALLY_PAID", {"due": 2, "settled": 1})
    assert (paid["status"], refused.status_code) == ("PAID", 403)
    extra = {code: amount for code, amount in amounts(beside).items() if Decimal(amount)}
    assert extra == {"BONUS": "36000.00", "BONUS_IIT": "1080.00"}


async def test_a_final_month_is_taken_back_and_paid_again(office: Office) -> None:
    employee = office.acme.ids["E0001"]
    await office.close("2026-09")
    wrong = await office.final(await office.calculated("2026-09"))
    before = await office.payslip(wrong, "E0001")
    path = f"/v1/payroll-runs/{wrong['id']}"
    body_of(await office.preparer.post(f"{path}/payments/settle", json={"employees": [employee]}))

    paid_out = await office.preparer.post(f"{path}/reverse", json={"reason": "wrong table"})
    not_theirs = await office.approver.post(f"{path}/reverse", json={"reason": "wrong table"})
    recovered = {"reason": "wrong table", "recover_settled": True}
    started = body_of(await office.preparer.post(f"{path}/reverse", json=recovered), 202)
    reversal = await until_calculated(office.preparer, started["id"])
    alone = await office.preparer.post(
        f"/v1/payroll-runs/{reversal['id']}/approve", json={"calculation_hash": reversal["calculation_hash"]}
    )
    done = await office.final(reversal)
    gone = body_of(await office.preparer.get(path))
    taken_back = await office.payslip(reversal, "E0001")
    replayed = body_of(await office.preparer.post(f"/v1/payslips/{taken_back['id']}/replay"))
    payments = body_of(await office.preparer.get(f"{path}/payments"))["data"]
    register = await office.approver.get(f"/v1/payroll-runs/{reversal['id']}/register")
    again = await office.final(await office.calculated("2026-09"))
    after = await office.payslip(again, "E0001")
    listed = body_of(await office.preparer.get("/v1/payslips", params={"employee_id": employee}))["data"]

    assert (paid_out.status_code, paid_out.json()["reason"]) == (409, "PAYMENTS_SETTLED")
    assert (not_theirs.status_code, alone.status_code) == (403, 403)
    assert (reversal["kind"], reversal["reverses_run_id"]) == ("REVERSAL", wrong["id"])
    assert reversal["totals"]["net"]["amount"] == f"-{wrong['totals']['net']['amount']}"
    assert (done["status"], done["payments"]) == ("FINALIZED", {"due": 0, "settled": 0})
    assert (gone["status"], gone["reversed_by_run_id"]) == ("REVERSED", reversal["id"])
    assert {one["employee_id"]: one["status"] for one in payments} == {
        employee: "SETTLED",
        office.acme.ids["E0002"]: "CANCELLED",
    }
    assert taken_back["year_to_date"]["totals"] == {"deductions": "0", "gross": "0", "net": "0"}
    assert replayed["matches"]
    rows = list(csv.DictReader(io.StringIO(register.text)))
    assert rows[-1]["net"] == reversal["totals"]["net"]["amount"]
    assert (amounts(after), after["year_to_date"]) == (amounts(before), before["year_to_date"])
    assert sorted((one["run_status"], one["net"]["amount"][:1] == "-") for one in listed) == [
        ("FINALIZED", False),
        ("FINALIZED", True),
        ("REVERSED", False),
    ]


async def test_who_moves_to_another_employer_in_mid_month_is_paid_by_both_and_never_by_the_wrong_one(
    office: Office,
) -> None:
    owner = office.acme.company.owner
    for path, body in (
        ("legal-entities/ACME-SZ", {"name": "Acme (Shenzhen) Co., Ltd.", "country": "CN"}),
        (
            "withholding-registrations/ACME-SZ-TAX",
            {"name": "Withholding agent", "legal_entity": "ACME-SZ", "country": "CN", "currency": "CNY"},
        ),
    ):
        body_of(await owner.put(f"/v1/{path}", json={"effective_date": "2026-01-01", **body}))
    group = body_of(await owner.get("/v1/pay-groups/CN-MONTHLY"))
    group = {**group, "name": "Shenzhen", "withholding_registration": "ACME-SZ-TAX"}
    wanted = {key: value for key, value in group.items() if key not in ("code", "catalog_version")}
    body_of(await owner.put("/v1/pay-groups/SZ-MONTHLY", json=wanted))
    for number, assignment in (
        ("E0001", {"legal_entity": "ACME-SZ", "pay_group": "SZ-MONTHLY"}),
        ("E0002", {"legal_entity": "ACME-SZ"}),  # the pay group was forgotten
    ):
        employee = office.acme.ids[number]
        etag = (await owner.get(f"/v1/employees/{employee}")).headers["etag"]
        moved = {"effective_date": "2026-09-16", "assignment": assignment}
        body_of(await owner.post(f"/v1/employees/{employee}/transfers", json=moved, headers={"If-Match": etag}), 201)
    await office.close("2026-09")
    body_of(await owner.post("/v1/timesheet-closings", json={"pay_group": "SZ-MONTHLY", "period": "2026-09"}), 202)

    first = await office.calculated("2026-09")
    second = await office.calculated("2026-09", pay_group="SZ-MONTHLY")
    blockers = body_of(await office.preparer.get(f"/v1/payroll-runs/{first['id']}/blockers"))["data"]
    halves = [await office.payslip(run, "E0001") for run in (first, second)]

    assert [(one["employee_id"], one["reason"], one["subject"]) for one in blockers] == [
        (office.acme.ids["E0002"], "WITHHOLDER_MISMATCH", "ACME-SZ")
    ]
    assert [run["progress"]["done"] for run in (first, second)] == [1, 1]
    # 20,000 a month; 11 planned days until 15 September, 11 after.
    assert [amounts(half)["BASE"] for half in halves] == ["10000.00", "10000.00"]


async def test_net_pay_goes_to_the_accounts_as_people_split_it(office: Office) -> None:
    owner, employee = office.acme.company.owner, office.acme.ids["E0001"]

    async def has_accounts(*accounts: dict[str, Any]) -> None:
        etag = (await owner.get(f"/v1/employees/{employee}")).headers["etag"]
        body = {"effective_date": "2026-09-01", "bank_accounts": list(accounts)}
        path = f"/v1/employees/{employee}/bank-accounts"
        body_of(await owner.post(path, json=body, headers={"If-Match": etag}), 201)

    def an_account(number: str, **part: Any) -> dict[str, Any]:
        return {"holder_name": "Li Wei", "account_number": number, "bank_name": "ICBC", **part}

    await has_accounts(
        an_account("62220001", amount={"amount": "5000.00", "currency": "CNY"}),
        an_account("62220002", share_percent="25"),
        an_account("62220003"),
    )
    await office.close("2026-09")
    run = await office.final(await office.calculated("2026-09"))
    net = Decimal((await office.payslip(run, "E0001"))["net"]["amount"])
    path = f"/v1/payroll-runs/{run['id']}/payments"
    before = (await office.preparer.get(f"{path}.csv")).text
    not_theirs = [
        await office.approver.post(f"{path}/arrange"),
        await office.approver.get(f"{path}.csv"),
    ]

    arranged = body_of(await office.preparer.post(f"{path}/arrange"))
    # An account that was closed meanwhile: the next arrangement pays to the new one.
    await has_accounts(
        an_account("62229999", amount={"amount": "5000.00", "currency": "CNY"}),
        an_account("62220002", share_percent="25"),
        an_account("62220003"),
    )
    kept = (await office.preparer.get(f"{path}.csv")).text
    body_of(await office.preparer.post(f"{path}/arrange"))
    rows = list(csv.DictReader(io.StringIO((await office.preparer.get(f"{path}.csv")).text)))
    listed = body_of(await office.preparer.get(path))["data"]
    mine = [one for one in listed if one["employee_id"] == employee]
    partly = body_of(await office.preparer.post(f"{path}/settle", json={"payments": [mine[0]["id"]]}))
    unknown = await office.preparer.post(f"{path}/settle", json={"payments": [run["id"]]})
    nothing = await office.preparer.post(f"{path}/settle", json={})
    others = {"employees": [office.acme.ids["E0002"]], "payments": [one["id"] for one in mine]}
    paid = body_of(await office.preparer.post(f"{path}/settle", json=others))
    after = list(csv.DictReader(io.StringIO((await office.preparer.get(f"{path}.csv")).text)))

    assert [answer.status_code for answer in not_theirs] == [403, 403]
    assert {row["problem"] for row in csv.DictReader(io.StringIO(before))} == {"NOT_ARRANGED", ""}
    assert arranged["payments"] == {"due": 4, "settled": 0}
    assert "62220001" in kept
    assert "62229999" not in kept
    fourth = (net - 5000) / 4
    amounts_to = {row["account_number"]: Decimal(row["amount"]) for row in rows[:-1] if row["account_number"]}
    assert amounts_to["62229999"] == 5000
    assert abs(amounts_to["62220002"] - fourth) <= Decimal("0.01")
    assert sum(amounts_to.values()) == net
    assert [(row["problem"], row["employee_number"]) for row in rows if row["problem"]] == [("NO_ACCOUNT", "E0002")]
    assert rows[-1]["amount"] == run["totals"]["net"]["amount"]
    assert [(one["split"], one["account"], one["status"]) for one in mine] == [
        (0, 1, "PENDING"),
        (1, 2, "PENDING"),
        (2, 3, "PENDING"),
    ]
    assert (partly["status"], partly["payments"]) == ("PARTIALLY_PAID", {"due": 4, "settled": 1})
    assert (unknown.json()["reason"], nothing.status_code) == ("PAYMENT_NOT_DUE", 422)
    assert (paid["status"], paid["payments"]) == ("PAID", {"due": 4, "settled": 4})
    assert (len(after), after[0]["amount"]) == (1, "0.00")
