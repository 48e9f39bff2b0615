"""What the import does with a backend's answers: tries again, names the row, stops, and never doubles."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from interfaces.cli.company import Api, CompanyLoad, Refused, Unreachable
from interfaces.cli.company_files import read_company
from interfaces.cli.progress import Steps

DEPARTMENTS = "code,name,parent,effective_date\nENG,Engineering,HQ,2019-01-01\nHQ,Headquarters,,2019-01-01\n"
EMPLOYEES = (
    "employee_number,legal_name,hire_date,legal_entity,department,location,manager\n"
    "E2,Li Wei,2021-01-05,ACME,ENG,SHANGHAI,E1\n"
    "E1,Zhao Min,2019-03-01,ACME,HQ,SHANGHAI,\n"
)
POSITIONS = "code,name,effective_date\nP,Position,2019-01-01\n"


def problem(status: int, reason: str, detail: str, **fields: str) -> httpx.Response:
    errors = [{"field": name, "reason": reason, "message": message} for name, message in fields.items()]
    return httpx.Response(status, json={"reason": reason, "detail": detail, "errors": errors})


NOTHING = problem(404, "NOT_FOUND", "there is none")


class Backend:
    """Answers changes as it is told to, knows no entry unless told, and remembers what it was asked."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response], **entries: Any) -> None:
        self._answer = answer
        self._entries = entries
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        _, _, code = request.url.path.removeprefix("/v1/").partition("/")
        if request.method == "GET" and code:
            entry = self._entries.get(code)
            return NOTHING if entry is None else httpx.Response(200, json=entry)
        self.asked.append(request)
        return self._answer(request)

    def api(self) -> Api:
        return Api(httpx.AsyncClient(base_url="http://backend", transport=httpx.MockTransport(self)), "a-token")

    async def load(self, folder: Path, **files: str) -> tuple[bool, CompanyLoad]:
        for name, content in files.items():
            (folder / f"{name}.csv").write_text(content)
        company = read_company(folder)
        assert company.problems == []
        load = CompanyLoad(company, self.api(), self.api(), Steps(None))
        return await load.run(), load

    def changes(self) -> list[tuple[str, Any]]:
        return [(each.url.path, json.loads(each.content)) for each in self.asked if each.method != "GET"]


def fine(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/v1/employees/batch":
        hires = json.loads(request.content)["employees"]
        results = [{"id": f"id-of-{hire['employee_number']}", "refusal": None} for hire in hires]
        return httpx.Response(200, json={"results": results})
    return httpx.Response(200, json={"data": [], "next_cursor": None})


async def test_departments_are_sent_parents_first_and_managers_before_their_people(tmp_path: Path) -> None:
    backend = Backend(fine)

    taken, _ = await backend.load(tmp_path, departments=DEPARTMENTS, employees=EMPLOYEES)

    assert taken
    sent = backend.changes()
    assert [path for path, _ in sent[:2]] == ["/v1/departments/HQ", "/v1/departments/ENG"]
    hires = [hire for path, body in sent[2:] for hire in body["employees"]]
    assert [hire["employee_number"] for hire in hires] == ["E1", "E2"]
    assert hires[1]["assignment"]["manager_id"] == "id-of-E1"


async def test_the_same_content_is_sent_with_the_same_key_and_other_content_with_another(tmp_path: Path) -> None:
    backend = Backend(fine)

    await backend.load(tmp_path, departments=DEPARTMENTS)
    await backend.load(tmp_path, departments=DEPARTMENTS.replace("Engineering", "Research"))

    keys = [request.headers["Idempotency-Key"] for request in backend.asked]
    assert keys[0] == keys[2]
    assert keys[1] != keys[3]


async def test_what_was_carried_out_before_is_counted_as_there_already(tmp_path: Path) -> None:
    backend = Backend(lambda request: httpx.Response(200, json={}, headers={"Idempotent-Replayed": "true"}))

    taken, load = await backend.load(tmp_path, departments=DEPARTMENTS)

    assert taken
    assert [(each.file, each.changed, each.unchanged) for each in load.loaded] == [("departments.csv", 0, 2)]


async def test_an_entry_that_says_the_same_already_is_not_published_again(tmp_path: Path) -> None:
    hq = {"code": "HQ", "name": "Headquarters", "parent": None, "effective_date": "2019-01-01", "version": 3}
    eng = {"code": "ENG", "name": "Research", "parent": "HQ", "effective_date": "2019-01-01", "version": 3}
    backend = Backend(fine, HQ=hq, ENG=eng)

    _, load = await backend.load(tmp_path, departments=DEPARTMENTS)

    assert [path for path, _ in backend.changes()] == ["/v1/departments/ENG"]
    assert (load.loaded[0].changed, load.loaded[0].unchanged) == (1, 1)


async def test_employees_who_are_there_are_not_hired_again(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            known = [{"employee_number": "E1", "id": "one", "assignment": None}]
            return httpx.Response(200, json={"data": known, "next_cursor": None})
        return fine(request)

    backend = Backend(answer)

    taken, load = await backend.load(tmp_path, employees=EMPLOYEES)

    assert taken
    assert [hire["employee_number"] for _, body in backend.changes() for hire in body["employees"]] == ["E2"]
    assert (load.loaded[0].changed, load.loaded[0].unchanged) == (1, 1)


async def test_a_backend_that_is_busy_is_asked_again_with_the_same_key(tmp_path: Path) -> None:
    answers = [
        httpx.Response(503, json={}, headers={"Retry-After": "0"}),
        problem(409, "REQUEST_IN_FLIGHT", "the first is still being served"),
        httpx.Response(200, json={}),
    ]
    backend = Backend(lambda request: answers.pop(0))

    taken, _ = await backend.load(tmp_path, positions=POSITIONS)

    assert taken
    assert len(backend.asked) == 3
    assert len({request.headers["Idempotency-Key"] for request in backend.asked}) == 1


async def test_a_refusal_is_told_with_the_row_and_nothing_after_its_file_is_sent(tmp_path: Path) -> None:
    backend = Backend(lambda request: problem(409, "DEPARTMENT_CLOSED", "reopen it", parent="HQ is closed"))

    taken, load = await backend.load(tmp_path, departments=DEPARTMENTS, positions=POSITIONS)

    assert not taken
    assert [str(each) for each in load.loaded[-1].problems] == [
        "departments.csv line 3: reopen it (parent: HQ is closed) [DEPARTMENT_CLOSED]",
        "departments.csv line 2: reopen it (parent: HQ is closed) [DEPARTMENT_CLOSED]",
    ]
    assert {path for path, _ in backend.changes()} == {"/v1/departments/HQ", "/v1/departments/ENG"}


async def test_a_refused_hire_is_told_with_its_row_and_the_others_are_hired(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v1/employees/batch":
            return fine(request)
        refusal = {"reason": "EMPLOYEE_NUMBER_TAKEN", "message": "choose another number", "field": "employee_number"}
        return httpx.Response(200, json={"results": [{"id": "one", "refusal": None}, {"id": None, "refusal": refusal}]})

    backend = Backend(answer)

    taken, load = await backend.load(tmp_path, employees=EMPLOYEES.replace(",E1\n", ",\n"))

    assert not taken
    assert load.loaded[0].changed == 1
    assert [str(each) for each in load.loaded[0].problems] == [
        "employees.csv line 3, column employee_number: choose another number [EMPLOYEE_NUMBER_TAKEN]"
    ]


async def test_a_manager_whom_nobody_knows_is_told_with_the_row(tmp_path: Path) -> None:
    backend = Backend(fine)

    taken, load = await backend.load(tmp_path, employees=EMPLOYEES.replace(",E1\n", ",E9\n"))

    assert not taken
    assert [str(each) for each in load.loaded[0].problems] == [
        "employees.csv line 2, column manager: there is no employee E9; hire the manager first"
    ]


async def test_a_token_that_may_not_is_no_problem_of_a_row(tmp_path: Path) -> None:
    backend = Backend(lambda request: problem(403, "FORBIDDEN", "your roles do not allow it"))

    with pytest.raises(Refused, match="your roles do not allow it"):
        await backend.load(tmp_path, departments=DEPARTMENTS)


async def test_where_no_backend_answers_the_message_says_how_to_start_one(tmp_path: Path) -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Unreachable, match="make serve"):
        await Backend(nobody).load(tmp_path, departments=DEPARTMENTS)


async def test_an_absence_is_entered_for_the_person_once(tmp_path: Path) -> None:
    known = {"code": "UNPAID", "minutes": 0, "start_date": "2026-10-22", "end_date": "2026-10-22", "paid_share": "0"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/timesheets":
            return httpx.Response(200, json={"data": [{"absences": [known]}], "next_cursor": None})
        return fine(request)

    backend = Backend(answer)
    absences = "employee_number,date,code,paid_share\nE2,2026-10-22,UNPAID,0\nE2,2026-10-23,UNPAID,0\n"

    taken, load = await backend.load(tmp_path, departments=DEPARTMENTS, employees=EMPLOYEES, absences=absences)

    assert taken, load.loaded
    assert [body for path, body in backend.changes() if path == "/v1/absences"] == [
        {"employee_id": "id-of-E2", "code": "UNPAID", "start_date": "2026-10-23", "minutes": 0, "paid_share": "0"}
    ]


KNOWN = {"employee_number": "E2", "id": "two", "assignment": {"pay_group": "CN-MONTHLY"}}
BOSS = {"employee_number": "E1", "id": "one", "assignment": None}


def people_and(**lists: list[Any]) -> Callable[[httpx.Request], httpx.Response]:
    """A backend that knows E1 and E2, and lists by path."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            return httpx.Response(200, json={})
        name = request.url.path.removeprefix("/v1/").replace("-", "_")
        found = [KNOWN, BOSS] if name == "employees" else lists.get(name, [])
        return httpx.Response(200, json={"data": found, "next_cursor": None})

    return answer


async def test_a_transfer_is_sent_with_what_it_changes_and_only_once(tmp_path: Path) -> None:
    rows = "employee_number,effective_date,department,manager,reason\nE2,2026-10-19,ENG,E1,Reorganisation\n"
    before, after = {"assignment": {"department": "HQ", "manager_id": None}}, {
        "assignment": {"department": "ENG", "manager_id": "one"}
    }  # fmt: skip
    new, moved = Backend(people_and(), two=before), Backend(people_and(), two=after)

    await new.load(tmp_path, transfers=rows)
    _, again = await moved.load(tmp_path, transfers=rows)

    assert new.changes() == [
        (
            "/v1/employees/two/transfers",
            {
                "effective_date": "2026-10-19",
                "assignment": {"department": "ENG", "manager_id": "one"},
                "reason": "Reorganisation",
            },
        )
    ]
    assert moved.changes() == []
    assert (again.loaded[0].changed, again.loaded[0].unchanged) == (0, 1)


async def test_the_accounts_of_a_person_are_sent_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    rows = (
        "employee_number,effective_date,bank_account,amount,currency\n"
        'E2,2026-10-01,9999 0000 0002,"1,500.00",CNY\n'
        "E2,2026-10-01,9999 0000 0001,,\n"
    )
    backend = Backend(people_and(), two={"person": {"legal_name": "Li Wei", "bank_accounts": []}})

    await backend.load(tmp_path, bank_accounts=rows)

    [(path, body)] = backend.changes()
    assert path == "/v1/employees/two/bank-accounts"
    assert body["bank_accounts"] == [
        {
            "holder_name": "Li Wei",
            "account_number": "999900000002",
            "amount": {"amount": "1500.00", "currency": "CNY"},
        },
        {"holder_name": "Li Wei", "account_number": "999900000001"},
    ]


async def test_lines_of_one_work_date_and_reason_are_one_adjustment(tmp_path: Path) -> None:
    rows = (
        "employee_number,work_date,pay_code,day_kind,minutes,reason\n"
        "E2,2026-10-28,ABSENT,WORKDAY,-480,at a customer's\n"
        "E2,2026-10-28,REGULAR,WORKDAY,480,at a customer's\n"
    )
    known = {"work_date": "2026-10-28", "reason": "at a customer's"}
    new = Backend(people_and(timesheets=[{"id": "sheet", "adjustments": []}]))
    there = Backend(people_and(timesheets=[{"id": "sheet", "adjustments": [known]}]))

    await new.load(tmp_path, adjustments=rows)
    await there.load(tmp_path, adjustments=rows)

    [(path, body)] = new.changes()
    assert path == "/v1/timesheets/sheet/adjustments"
    assert [(line["pay_code"], line["minutes"]) for line in body["lines"]] == [("ABSENT", -480), ("REGULAR", 480)]
    assert there.changes() == []


async def test_a_run_is_taken_back_once_and_only_where_it_is_final(tmp_path: Path) -> None:
    rows = "pay_group,period,run,reason\nCN-MONTHLY,2026-10,OFF_CYCLE,wrong person\n"
    final = {"id": "paid", "kind": "OFF_CYCLE", "status": "FINALIZED", "reverses_run_id": None}
    reversal = {"id": "back", "kind": "REVERSAL", "status": "CALCULATED", "reverses_run_id": "paid"}
    new, there, none = (
        Backend(people_and(payroll_runs=runs))
        for runs in ([final], [reversal, final], [{**final, "status": "CALCULATED"}])
    )

    await new.load(tmp_path, reversals=rows)
    await there.load(tmp_path, reversals=rows)
    taken, refused = await none.load(tmp_path, reversals=rows)

    assert new.changes() == [("/v1/payroll-runs/paid/reverse", {"reason": "wrong person"})]
    assert (there.changes(), none.changes()) == ([], [])
    assert not taken
    assert [str(each) for each in refused.loaded[-1].problems] == [
        "reversals.csv line 2, column run: there is no final run of this kind to take back"
    ]


async def test_who_has_an_opening_balance_is_not_given_another(tmp_path: Path) -> None:
    rows = (
        "employee_number,period,gross,deductions,net,income,contributions,special_additional,tax,months,source,source_date\n"
        "E2,2026-09,189000.00,40747.50,148252.50,189000,33075,9000,7672.50,9,Statement,2026-10-10\n"
    )
    run = {"id": "opened", "kind": "OPENING", "status": "FINALIZED"}

    def opened(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/payroll-runs/opened/payslips":
            return httpx.Response(200, json={"data": [{"employee_id": "two"}], "next_cursor": None})
        return people_and(payroll_runs=[run])(request)

    class Paid(Backend):
        """Answers lists below a run too."""

        def __call__(self, request: httpx.Request) -> httpx.Response:
            return opened(request) if request.method == "GET" else super().__call__(request)

    new, there = Backend(people_and()), Paid(people_and())
    await new.load(tmp_path, opening_balances=rows)
    await there.load(tmp_path, opening_balances=rows)

    [(path, body)] = new.changes()
    assert (path, body["pay_group"], body["period"]) == ("/v1/opening-balances", "CN-MONTHLY", "2026-09")
    assert body["balances"][0]["statutory"] == {
        "income": "189000", "contributions": "33075", "special_additional": "9000", "tax": "7672.50", "months": "9",
    }  # fmt: skip
    assert there.changes() == []
