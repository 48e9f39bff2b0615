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
