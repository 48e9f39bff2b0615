"""`muster import`: a company from CSV files through the public REST API; running it again changes nothing."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import typer

from interfaces.cli.company_files import (
    ASSIGNMENT,
    LIMITS,
    SHORT_DAYS,
    STATUTORY,
    Company,
    Problem,
    Row,
    by_level,
    equal_amounts,
    read_company,
)
from interfaces.cli.progress import Step, Steps, console_for

BATCH = 500
SHOWN_PROBLEMS = 50
TRIES = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
TIMEOUT_S = 60.0
ROSTER_WAIT_S, ROSTER_STEP_S = 15.0, 0.05
MAX_PAGES = 1000
PAGE = 1000

PUNCHES = uuid.UUID("5f0a3f64-8f0d-5c58-9d5c-6b0f3b7d2a11")  # namespace of punch ids made from a row's content
NOT_FOUND = 404
_AGAIN = {429, 502, 503, 504}


class Refused(Exception):
    """The backend's answer to a request that it does not carry out."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.reason = str(problem.get("reason", ""))
        self.detail = str(problem.get("detail", "")) or f"HTTP {status}"
        self.fields = {str(error["field"]): str(error["message"]) for error in problem.get("errors", ())}
        super().__init__(str(self))

    def __str__(self) -> str:
        named = self.fields.items()
        fields = "; ".join(name if message == self.detail else f"{name}: {message}" for name, message in named)
        return f"{self.detail}{f' ({fields})' if fields else ''} [{self.reason or self.status}]"


class Unreachable(OSError):
    """No backend answers at the address."""


class Api:
    """The REST API as one caller with one token.

    Invariants: every change carries an Idempotency-Key; what is refused only for now is tried again, a bounded number
    of times.
    """

    def __init__(self, client: httpx.AsyncClient, token: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, **query: Any) -> tuple[Any, str]:
        """The answer's body and its ETag. Raises Refused, Unreachable."""
        response = await self._sent("GET", path, params=query)
        return response.json(), response.headers.get("etag", "")

    async def text(self, path: str) -> str:
        """The answer's body where it is no JSON. Raises Refused, Unreachable."""
        response = await self._sent("GET", path)
        return response.text

    async def change(self, method: str, path: str, body: Any, key: str = "", etag: str = "") -> tuple[Any, bool]:
        """The answer's body, and whether it was carried out before. Raises Refused, Unreachable.

        Without a `key` the content is the key: the same request is carried out once.
        """
        headers = {"Idempotency-Key": key or content_key(method, path, body)}
        if etag:
            headers["If-Match"] = etag
        response = await self._sent(method, path, json=body, headers=headers)
        return response.json(), response.headers.get("idempotent-replayed") == "true"

    async def pages(self, path: str, **query: Any) -> list[Any]:
        """Everything that a list holds. Raises Refused, Unreachable."""
        found: list[Any] = []
        cursor = ""
        for _ in range(MAX_PAGES):
            body, _ = await self.get(path, limit=PAGE, cursor=cursor, **query)
            found.extend(body["data"])
            cursor = body["next_cursor"] or ""
            if not cursor:
                break
        return found

    async def _sent(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self._headers, **options.pop("headers", {})}
        for attempt in range(1, TRIES + 1):
            pause = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
            try:
                response = await self._client.request(method, path, headers=headers, **options)
            except httpx.TransportError as error:
                if attempt == TRIES or isinstance(error, httpx.ConnectError):
                    raise Unreachable(
                        f"no backend answers at {self._client.base_url} ({type(error).__name__}): start one with "
                        "`make serve`, or name it with --base-url"
                    ) from None
                await asyncio.sleep(pause)
                continue
            if response.is_success:
                return response
            refused = Refused(response.status_code, _problem_of(response))
            if attempt == TRIES or not (response.status_code in _AGAIN or refused.reason == "REQUEST_IN_FLIGHT"):
                raise refused
            after = response.headers.get("retry-after", "")
            await asyncio.sleep(min(float(after), LONGEST_PAUSE_S) if after.isdigit() else pause)
        raise AssertionError("the last attempt answers or raises")


def _problem_of(response: httpx.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def content_key(method: str, path: str, body: Any) -> str:
    """An Idempotency-Key that stands for this request and no other."""
    content = json.dumps([method, path, body], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"import-{hashlib.sha256(content.encode()).hexdigest()}"


@asynccontextmanager
async def connected(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the backend at an address. Raises OSError for one that is none."""
    try:
        client = httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT_S, trust_env=False)
    except httpx.InvalidURL as error:
        raise OSError(f"{base_url} is no address: {error}") from None
    async with client:
        yield client


@dataclass(slots=True)
class Loaded:
    """What became of one file's rows."""

    file: str
    rows: int
    changed: int = 0
    unchanged: int = 0
    seconds: float = 0.0
    note: str = ""
    problems: list[Problem] = field(default_factory=list)

    def count(self, replayed: bool) -> None:
        """One more that was sent: carried out now, or before."""
        if replayed:
            self.unchanged += 1
        else:
            self.changed += 1


class CompanyLoad:
    """Sends a checked company, file by file, in the order in which the files build on each other.

    Invariants: nothing is sent of a file after one with a problem; what was sent stays, and is not doubled when the
    load is run again.
    """

    def __init__(self, company: Company, people: Api, pay: Api, steps: Steps, told: str = "") -> None:
        """`people` may hire and publish schedules, `pay` may publish pay groups and enter inputs.

        `told` stands behind the files' names on the screen.
        """
        self._told = told
        self._company = company
        self._people = people
        self._pay = pay
        self._steps = steps
        self._ids: dict[str, str] = {}
        self._pay_groups: dict[str, str] = {}
        self.loaded: list[Loaded] = []

    async def run(self) -> bool:
        """Whether everything was taken. Raises Refused for what concerns no row, Unreachable."""
        files: tuple[tuple[str, str, Callable[[list[Row], Loaded, Step], Awaitable[None]]], ...] = (
            ("legal_entities", "published", self._legal_entities),
            ("withholding_registrations", "published", self._registrations),
            ("locations", "published", self._locations),
            ("departments", "published", self._departments),
            ("positions", "published", self._positions),
            ("time_calendars", "published", self._time_calendars),
            ("holidays", "published", self._holidays),
            ("overtime_policies", "published", self._overtime_policies),
            ("shifts", "published", self._shifts),
            ("work_schedules", "published", self._work_schedules),
            ("pay_groups", "published", self._pay_groups_and_components),
            ("pay_components", "published", self._pay_components),
            ("employees", "hired", self._employees),
            ("bank_accounts", "entered", self._bank_accounts),
            ("transfers", "entered", self._transfers),
            ("compensation_changes", "entered", self._compensation_changes),
            ("terminations", "entered", self._terminations),
            ("rehires", "entered", self._rehires),
            ("statutory_profiles", "entered", self._statutory_profiles),
            ("punches", "recorded", self._punches),
            ("absences", "entered", self._absences),
            ("punch_corrections", "asked for, to be approved", self._punch_corrections),
            ("overtime_requests", "asked for, to be approved", self._overtime_requests),
            ("adjustments", "entered", self._adjustments),
            ("opening_balances", "entered, to be approved by a second person", self._opening_balances),
            ("pay_inputs", "entered", self._pay_inputs),
            ("reversals", "entered, to be approved by a second person", self._reversals),
        )
        for name, verb, send in files:
            rows = self._company.of(name)
            if not rows:
                continue
            report = Loaded(f"{name}.csv", len(rows))
            with self._steps.step(f"{report.file}{self._told}", len(rows)) as step:
                await send(rows, report, step)
                step.say(_told(report, verb))
            report.seconds = step.seconds
            self.loaded.append(report)
            if report.problems:
                return False
        return True

    # ---- the org chart ----

    async def _legal_entities(self, rows: list[Row], report: Loaded, step: Step) -> None:
        await self._put(rows, report, step, "/v1/legal-entities", lambda row: _named(
            row, country=row["country"], currency=row["currency"], registration_number=row["registration_number"]
        ))  # fmt: skip

    async def _registrations(self, rows: list[Row], report: Loaded, step: Step) -> None:
        await self._put(rows, report, step, "/v1/withholding-registrations", lambda row: _named(
            row, legal_entity=row["legal_entity"], country=row["country"], currency=row["currency"],
            registration_number=row["registration_number"],
        ))  # fmt: skip

    async def _locations(self, rows: list[Row], report: Loaded, step: Step) -> None:
        await self._put(rows, report, step, "/v1/locations", lambda row: _named(
            row, country=row["country"], time_zone=row["time_zone"], address=row["address"]
        ))  # fmt: skip

    async def _departments(self, rows: list[Row], report: Loaded, step: Step) -> None:
        for layer in by_level(rows, "code", "parent"):
            await self._put(layer, report, step, "/v1/departments", lambda row: _named(row, parent=row["parent"]))

    async def _positions(self, rows: list[Row], report: Loaded, step: Step) -> None:
        await self._put(rows, report, step, "/v1/positions", lambda row: _named(
            row, department=row["department"], headcount=row["headcount"]
        ))  # fmt: skip

    # ---- schedules ----

    async def _time_calendars(self, rows: list[Row], report: Loaded, step: Step) -> None:
        await self._put(rows, report, step, "/v1/time-calendars", lambda row: _named(
            row, cutoff_day=(row["first_day"] or 1) - 1, work_week_start=row["week_start"]
        ))  # fmt: skip

    async def _holidays(self, rows: list[Row], report: Loaded, step: Step) -> None:
        schedules = self._company.of("work_schedules")
        for calendar, days in _grouped(rows, "calendar"):
            first_day = f"{min(row['date'] for row in days)[:4]}-01-01"
            users = [row["effective_date"] for row in schedules if row["holiday_calendar"] == calendar]
            body = {
                "effective_date": min([first_day, *users]),
                "name": calendar,
                "days": [_given(date=row["date"], day_kind=row["day_kind"], name=row["name"], works_as=row["works_as"])
                         for row in sorted(days, key=lambda row: row["date"])],
            }  # fmt: skip
            await self._publish(self._people, f"/v1/holiday-calendars/{calendar}", body, days, report, step)

    async def _overtime_policies(self, rows: list[Row], report: Loaded, step: Step) -> None:
        for policy, rules in _grouped(rows, "code", "effective_date"):
            code, effective_date = policy.split("\0")
            night = next((row for row in rules if row["night_start"] and row["night_end"]), None)
            body = _given(
                effective_date=effective_date,
                name=rules[0]["name"],
                rules=[_given(day_kind=row["day_kind"], rate_reference=row["pay_component"],
                              min_minutes=row["min_minutes"], step_minutes=row["step_minutes"],
                              approval_required=row["approval"]) for row in rules],
                night_start_time=night["night_start"] if night else None,
                night_end_time=night["night_end"] if night else None,
            )  # fmt: skip
            await self._publish(self._people, f"/v1/overtime-policies/{code}", body, rules, report, step)

    async def _shifts(self, rows: list[Row], report: Loaded, step: Step) -> None:
        def body(row: Row) -> dict[str, Any]:
            breaks = [{"start_time": row["break_start"], "end_time": row["break_end"]}] if row["break_start"] else None
            intervals = [{"start_time": row["start"], "end_time": row["end"]}]
            if row["second_start"]:
                intervals.append({"start_time": row["second_start"], "end_time": row["second_end"]})
            core = [{"start_time": row["core_start"], "end_time": row["core_end"]}] if row["core_start"] else None
            flexible = None if row["flexible_minutes"] is None else _given(
                required_minutes=row["flexible_minutes"], core=core, break_minutes=row["break_minutes"],
                break_after_minutes=row["break_after_minutes"],
            )  # fmt: skip
            return _named(
                row,
                intervals=intervals,
                breaks=breaks,
                flexible=flexible,
                in_rounding=row["in_rounding"],
                out_rounding=row["out_rounding"],
                late_grace_minutes=row["late_grace_minutes"],
                early_leave_grace_minutes=row["early_leave_grace_minutes"],
            )

        await self._put(rows, report, step, "/v1/shifts", body)

    async def _work_schedules(self, rows: list[Row], report: Loaded, step: Step) -> None:
        await self._put(rows, report, step, "/v1/work-schedules", lambda row: _named(
            row, days=row["rotation"] or [row[day] for day in SHORT_DAYS], cycle_start_date=row["rotation_start"],
            holiday_calendar=row["holiday_calendar"], overtime_policy=row["overtime_policy"],
            works_on_holidays=row["works_on_holidays"], ignores_moved_days=row["ignores_moved_days"],
            punch_exempt=None if row["punches"] is None else not row["punches"],
        ))  # fmt: skip

    # ---- the payroll catalog ----

    async def _pay_groups_and_components(self, rows: list[Row], report: Loaded, step: Step) -> None:
        for country, groups in _grouped(rows, "country"):
            body = {"country": country, "effective_date": min(row["effective_date"] for row in groups)}
            await self._send(
                self._pay, "POST", "/v1/pay-components/standard", body, groups[:1], report, step, counted=0
            )
        if report.problems:
            return
        await self._put(rows, report, step, "/v1/pay-groups", lambda row: _named(
            row, withholding_registration=row["withholding_registration"], frequency=row["frequency"],
            currency=row["currency"], country=row["country"], time_calendar=row["time_calendar"],
            pay_date_rule={"offset": 1, "day": row["pay_day"]} if row["pay_day"] else None,
        ), api=self._pay)  # fmt: skip

    async def _pay_components(self, rows: list[Row], report: Loaded, step: Step) -> None:
        await self._put(rows, report, step, "/v1/pay-components", lambda row: _named(
            row, kind=row["kind"], formula=row["formula"], quantity_formula=row["quantity"], rate_formula=row["rate"],
            tax_treatment=row["taxed"] or (None if row["kind"] == "EARNING" else "EXEMPT"), order=row["order"],
        ), api=self._pay)  # fmt: skip

    # ---- people ----

    async def _employees(self, rows: list[Row], report: Loaded, step: Step) -> None:
        await self._know_everybody()
        here = [row for row in rows if row["employee_number"] in self._ids]
        report.unchanged += len(here)
        step.advance(len(here))
        new = [row for row in rows if row["employee_number"] not in self._ids]
        for layer in by_level(new, "employee_number", "manager"):
            for start in range(0, len(layer), BATCH):
                batch = layer[start : start + BATCH]
                await self._hire([row for row in batch if self._manager_known(row, report)], report)
                step.advance(len(batch))
            if report.problems:
                return

    async def _hire(self, batch: list[Row], report: Loaded) -> None:
        if not batch:
            return
        body = {"employees": [self._hire_body(row) for row in batch]}
        try:
            answer, _ = await self._people.change("POST", "/v1/employees/batch", body)
        except Refused as refused:
            report.problems.extend(_placed(refused, batch, "employees"))
            return
        for row, result in zip(batch, answer["results"], strict=True):
            if result["refusal"]:
                refusal = result["refusal"]
                report.problems.append(
                    row.problem(f"{refusal['message']} [{refusal['reason']}]", refusal["field"] or "")
                )
            else:
                self._ids[row["employee_number"]] = result["id"]
                self._pay_groups[row["employee_number"]] = row["pay_group"] or ""
                report.changed += 1

    def _manager_known(self, row: Row, report: Loaded) -> bool:
        if row["manager"] is None or row["manager"] in self._ids:
            return True
        report.problems.append(row.problem(f"there is no employee {row['manager']}; hire the manager first", "manager"))
        return False

    def _hire_body(self, row: Row) -> dict[str, Any]:
        account = {"account": row["bank_account"], "code": row["bank_code"], "bank": row["bank_name"]}
        return _given(
            employee_number=row["employee_number"],
            person=_given(
                **{name: row[name] for name in ("legal_name", "birth_date", "national_id", "email", "phone")},
                bank_accounts=[_account(row["legal_name"], **account)] if account["account"] else None,
            ),
            hire_date=row["hire_date"],
            employment_type=row["employment_type"],
            **self._work(row),
            reason="import",
        )

    def _work(self, row: Row) -> dict[str, Any]:
        """What a hire and a rehire agree on."""
        statutory, wage = _statutory(row), row["monthly_wage"]
        return {
            "assignment": self._assignment(row),
            "compensation": None if wage is None else {"amount": wage, "currency": row["currency"], "unit": "MONTH"},
            "statutory_profile": {"country": "CN", "values": statutory} if statutory else None,
        }

    def _assignment(self, row: Row) -> dict[str, Any]:
        """What the row says of the assignment, with the manager's id."""
        found = _given(**{name: row[name] for name in ASSIGNMENT if name != "manager"})
        if row["manager"]:
            found["manager_id"] = self._ids[row["manager"]]
        return found

    async def _know_everybody(self) -> None:
        for employee in await self._people.pages("/v1/employees"):
            self._ids[employee["employee_number"]] = employee["id"]
            assignment = employee["assignment"] or {}
            self._pay_groups[employee["employee_number"]] = assignment.get("pay_group") or ""

    async def _id_of(self, row: Row, report: Loaded) -> str | None:
        if not self._ids:
            await self._know_everybody()
        found = self._ids.get(row["employee_number"])
        if found is None:
            told = f"there is no employee {row['employee_number']}; add the person to employees.csv"
            report.problems.append(row.problem(told, "employee_number"))
        return found

    async def _compensation_changes(self, rows: list[Row], report: Loaded, step: Step) -> None:
        def body(row: Row, employee: Any) -> dict[str, Any] | None:
            now = employee["compensation"] or {}
            currency = row["currency"] or now.get("currency") or ""
            same = now.get("unit") == "MONTH" and now["currency"] == currency
            if same and equal_amounts(now["amount"], row["monthly_wage"]):
                return None
            return {
                "effective_date": row["effective_date"],
                "compensation": {"amount": row["monthly_wage"], "currency": currency, "unit": "MONTH"},
                "reason": row["reason"] or "",
            }

        await self._changes(rows, report, step, "compensation-changes", "effective_date", body)

    async def _terminations(self, rows: list[Row], report: Loaded, step: Step) -> None:
        def body(row: Row, employee: Any) -> dict[str, Any] | None:
            if employee["employment"]["end_date"] == row["last_day"]:
                return None
            return {"end_date": row["last_day"], "end_reason": row["reason"]}

        await self._changes(rows, report, step, "terminations", "last_day", body)

    async def _rehires(self, rows: list[Row], report: Loaded, step: Step) -> None:
        def body(row: Row, employee: Any) -> dict[str, Any] | None:
            if employee["employment"]["hire_date"] == row["hire_date"]:
                return None
            return _given(
                hire_date=row["hire_date"], employment_type=row["employment_type"], **self._work(row), reason="import"
            )

        await self._changes(rows, report, step, "rehires", "hire_date", body)
        self._pay_groups.update((row["employee_number"], row["pay_group"] or "") for row in rows)

    async def _transfers(self, rows: list[Row], report: Loaded, step: Step) -> None:
        def body(row: Row, employee: Any) -> dict[str, Any] | None:
            assignment = self._assignment(row)
            if _says(employee["assignment"], assignment):
                return None
            return {"effective_date": row["effective_date"], "assignment": assignment, "reason": row["reason"] or ""}

        await self._changes(rows, report, step, "transfers", "effective_date", body)

    async def _statutory_profiles(self, rows: list[Row], report: Loaded, step: Step) -> None:
        def body(row: Row, employee: Any) -> dict[str, Any] | None:
            values = _statutory(row)
            known: dict[str, str] = next(
                (one["values"] for one in employee["statutory_profiles"] if one["country"] == "CN"), {}
            )
            if all(_same_answer(known.get(name), value) for name, value in values.items()):
                return None
            return {
                "effective_date": row["effective_date"],
                "statutory_profile": {"country": "CN", "values": values},
                "reason": row["reason"] or "",
            }

        await self._changes(rows, report, step, "statutory-profiles", "effective_date", body)

    async def _changes(
        self, rows: list[Row], report: Loaded, step: Step, path: str, dated: str,
        body: Callable[[Row, Any], dict[str, Any] | None],
    ) -> None:  # fmt: skip
        """One change of one employee per row, the earliest first; without a body it stands so already."""
        for row in sorted(rows, key=lambda row: row[dated]):
            employee_id = await self._id_of(row, report)
            if employee_id is not None and ("manager" not in row.values or self._manager_known(row, report)):
                employee, etag = await self._people.get(f"/v1/employees/{employee_id}", as_of=row[dated])
                wanted = body(row, employee)
                if wanted is None:
                    report.unchanged += 1
                else:
                    change = f"/v1/employees/{employee_id}/{path}"
                    await self._send(self._people, "POST", change, wanted, [row], report, etag=etag)
            step.advance()

    async def _bank_accounts(self, rows: list[Row], report: Loaded, step: Step) -> None:
        for key, accounts in _grouped(rows, "employee_number", "effective_date"):
            first, (_, day) = accounts[0], key.split("\0")
            employee_id = await self._id_of(first, report)
            if employee_id is not None:
                employee, etag = await self._people.get(f"/v1/employees/{employee_id}", as_of=day)
                wanted = [
                    _account(
                        row["holder_name"] or employee["person"]["legal_name"], row["bank_account"], row["bank_code"],
                        row["bank_name"], share_percent=row["share_percent"],
                        amount=row["amount"] and {"amount": row["amount"], "currency": row["currency"]},
                    )
                    for row in sorted(accounts, key=lambda row: row.line)
                ]  # fmt: skip
                if _says(employee["person"]["bank_accounts"], wanted):
                    report.unchanged += len(accounts)
                else:
                    body = {"effective_date": day, "bank_accounts": wanted, "reason": "import"}
                    path = f"/v1/employees/{employee_id}/bank-accounts"
                    await self._send(
                        self._people, "POST", path, body, accounts, report, etag=etag, counted=len(accounts)
                    )
            step.advance(len(accounts))

    # ---- time and inputs ----

    async def _punches(self, rows: list[Row], report: Loaded, step: Step) -> None:
        named: list[tuple[Row, dict[str, Any]]] = []
        for row in rows:
            employee_id = await self._id_of(row, report)
            if employee_id is None:
                step.advance()
            else:
                named.append((row, _punch(row, employee_id)))
            if len(report.problems) >= LIMITS.problems:
                return
        # By person, so that a batch touches few timesheets; a person's punches stay in the order of the file.
        named.sort(key=lambda each: each[1]["employee_id"])
        unique = {punch["punch_id"]: (row, punch) for row, punch in named}
        report.unchanged += len(named) - len(unique)
        step.advance(len(named) - len(unique))
        sent, doubled = list(unique.values()), 0
        for start in range(0, len(sent), BATCH):
            batch = sent[start : start + BATCH]
            body = {"punches": [punch for _, punch in batch]}
            try:
                # A key of its own: the punch ids make a repetition harmless, and its answer says what is new by then.
                answer, _ = await self._people.change("POST", "/v1/punches/batch", body, key=f"import-{uuid.uuid4()}")
            except Refused as refused:
                report.problems.extend(_placed(refused, [row for row, _ in batch], "punches"))
                return
            for (row, _), result in zip(batch, answer["results"], strict=True):
                if result["outcome"] == "REFUSED":
                    report.problems.append(
                        row.problem(f"{result['refusal']['message']} [{result['refusal']['reason']}]")
                    )
                else:
                    report.count(result["outcome"] == "REPLAYED")
                    doubled += result["outcome"] == "DUPLICATE"
            step.advance(len(batch))
        report.note = f"{doubled:,} of them doubled" if doubled else ""
        await self._rosters_follow()

    async def _rosters_follow(self) -> None:
        """Wait until attendance knows of the folder's terminations: it hears of them by an event, a moment later."""
        for row in self._company.of("terminations"):
            employee_id = self._ids.get(row["employee_number"], "")
            month = row["last_day"][:7]
            deadline = asyncio.get_running_loop().time() + ROSTER_WAIT_S
            while asyncio.get_running_loop().time() < deadline:
                page, _ = await self._people.get("/v1/timesheets", employee_id=employee_id, period=month)
                days = [day["work_date"] for sheet in page["data"] for day in sheet["occurrences"]]
                if max(days, default="") <= row["last_day"]:
                    break
                await asyncio.sleep(ROSTER_STEP_S)

    async def _absences(self, rows: list[Row], report: Loaded, step: Step) -> None:
        for row in rows:
            await self._absence(row, report)
            step.advance()

    async def _absence(self, row: Row, report: Loaded) -> None:
        employee_id = await self._id_of(row, report)
        if employee_id is None:
            return
        page, _ = await self._people.get("/v1/timesheets", employee_id=employee_id, period=row["date"][:7])
        minutes, share = row["minutes"] or 0, row["paid_share"] or "0"
        for known in [absence for timesheet in page["data"] for absence in timesheet["absences"]]:
            same = (known["code"], known["minutes"]) == (row["code"], minutes)
            covers = known["start_date"] <= row["date"] <= known["end_date"]
            if same and covers and equal_amounts(known["paid_share"], share):
                report.unchanged += 1
                return
        body = {
            "employee_id": employee_id,
            "code": row["code"],
            "start_date": row["date"],
            "minutes": minutes,
            "paid_share": share,
        }
        await self._send(self._people, "POST", "/v1/absences", body, [row], report)

    async def _punch_corrections(self, rows: list[Row], report: Loaded, step: Step) -> None:
        for row in rows:
            sheet = await self._timesheet(row, row["punched_at"][:7], report)
            if sheet is not None:
                at = datetime.fromisoformat(row["punched_at"])
                if any(_instant_of(one["punched_at"]) == at for one in sheet["corrections"]):
                    report.unchanged += 1
                else:
                    body = _given(punched_at=row["punched_at"], direction=row["direction"], reason=row["reason"])
                    path = f"/v1/timesheets/{sheet['id']}/corrections"
                    await self._send(self._people, "POST", path, body, [row], report)
            step.advance()

    async def _overtime_requests(self, rows: list[Row], report: Loaded, step: Step) -> None:
        for row in rows:
            employee_id = await self._id_of(row, report)
            if employee_id is not None:
                known = await self._people.pages("/v1/overtime-requests", employee_id=employee_id)
                if any((one["work_date"], one["reason"]) == (row["work_date"], row["reason"]) for one in known):
                    report.unchanged += 1
                else:
                    asked = {name: row[name] for name in ("work_date", "minutes", "reason")}
                    body = {"employee_id": employee_id, **asked}
                    await self._send(self._people, "POST", "/v1/overtime-requests", body, [row], report)
            step.advance()

    async def _adjustments(self, rows: list[Row], report: Loaded, step: Step) -> None:
        for _, lines in _grouped(rows, "employee_number", "work_date", "reason"):
            first = lines[0]
            sheet = await self._timesheet(first, first["work_date"][:7], report)
            if sheet is not None:
                named = (first["work_date"], first["reason"])
                if any((one["work_date"], one["reason"]) == named for one in sheet["adjustments"]):
                    report.unchanged += len(lines)
                else:
                    parts = ("pay_code", "day_kind", "minutes", "paid_share")
                    body = {
                        "work_date": first["work_date"],
                        "lines": [_given(**{name: row[name] for name in parts}) for row in lines],
                        "reason": first["reason"],
                    }
                    path = f"/v1/timesheets/{sheet['id']}/adjustments"
                    await self._send(self._people, "POST", path, body, lines, report)
            step.advance(len(lines))

    async def _timesheet(self, row: Row, period: str, report: Loaded) -> Any | None:
        employee_id = await self._id_of(row, report)
        if employee_id is None:
            return None
        page, _ = await self._people.get("/v1/timesheets", employee_id=employee_id, period=period)
        if not page["data"]:
            report.problems.append(row.problem(f"{row['employee_number']} has no timesheet of {period} yet"))
            return None
        return page["data"][0]

    async def _reversals(self, rows: list[Row], report: Loaded, step: Step) -> None:
        for row in rows:
            runs = await self._pay.pages("/v1/payroll-runs", pay_group=row["pay_group"], period=row["period"])
            of_kind = [run for run in runs if run["kind"] == row["run"]]
            taken_back = {
                run["reverses_run_id"] for run in runs if run["kind"] == "REVERSAL" and run["status"] != "VOID"
            }
            final = [run for run in of_kind if run["status"] == "FINALIZED" and run["id"] not in taken_back]
            if final:
                path = f"/v1/payroll-runs/{final[0]['id']}/reverse"
                await self._send(self._pay, "POST", path, {"reason": row["reason"]}, [row], report)
            elif any(run["id"] in taken_back for run in of_kind):
                report.unchanged += 1
            else:
                report.problems.append(row.problem("there is no final run of this kind to take back", "run"))
            step.advance()

    async def _opening_balances(self, rows: list[Row], report: Loaded, step: Step) -> None:
        by_run: dict[tuple[str, str, str, str], list[tuple[Row, str]]] = {}
        for row in rows:
            employee_id = await self._id_of(row, report)
            group = self._pay_groups.get(row["employee_number"], "")
            if employee_id is not None and not group:
                report.problems.append(row.problem("the person is in no pay group; give them one", "employee_number"))
            elif employee_id is not None:
                by_run.setdefault((group, row["period"], row["source"], row["source_date"]), []).append(
                    (row, employee_id)
                )
        for (group, period, source, source_date), balances in by_run.items():
            there = await self._opened(group, period)
            new = [(row, employee_id) for row, employee_id in balances if employee_id not in there]
            report.unchanged += len(balances) - len(new)
            for start in range(0, len(new), BATCH):
                batch = new[start : start + BATCH]
                body = {
                    "pay_group": group,
                    "period": period,
                    "source": source,
                    "source_date": source_date,
                    "balances": [_balance(row, employee_id) for row, employee_id in batch],
                }
                of_batch = [row for row, _ in batch]
                await self._send(self._pay, "POST", "/v1/opening-balances", body, of_batch, report)
            step.advance(len(balances))

    async def _opened(self, group: str, period: str) -> set[str]:
        """Who has an opening balance of the period."""
        found: set[str] = set()
        for run in await self._pay.pages("/v1/payroll-runs", pay_group=group, period=period):
            if run["kind"] == "OPENING" and run["status"] != "VOID":
                payslips = await self._pay.pages(f"/v1/payroll-runs/{run['id']}/payslips")
                found |= {payslip["employee_id"] for payslip in payslips}
        return found

    async def _pay_inputs(self, rows: list[Row], report: Loaded, step: Step) -> None:
        known: dict[tuple[str, str], list[Any]] = {}
        for row in rows:
            employee_id = await self._id_of(row, report)
            if employee_id is not None:
                place = (employee_id, row["period"])
                if place not in known:
                    known[place] = await self._pay.pages(
                        "/v1/pay-inputs", employee_id=employee_id, period=row["period"]
                    )
                await self._pay_input(row, employee_id, known[place], report)
            step.advance()

    async def _pay_input(self, row: Row, employee_id: str, known: list[Any], report: Loaded) -> None:
        group = self._pay_groups.get(row["employee_number"], "")
        if not group:
            report.problems.append(row.problem("the person is in no pay group; give them one", "employee_number"))
            return
        for entered in known:
            if (
                entered["component"] == row["component"]
                and entered["status"] != "CANCELLED"
                and entered["reason"] == (row["note"] or "")
                and equal_amounts(entered["amount"]["amount"], row["amount"])
            ):
                known.remove(entered)  # two equal rows are two inputs
                report.unchanged += 1
                return
        body = {
            "employee_id": employee_id,
            "pay_group": group,
            "period": row["period"],
            "component": row["component"],
            "amount": {"amount": row["amount"], "currency": row["currency"] or "CNY"},
            "reason": row["note"] or "",
            **_given(run_kind=row["run"]),
        }
        key = content_key("POST", f"/v1/pay-inputs#{row.line}", body)
        await self._send(self._pay, "POST", "/v1/pay-inputs", body, [row], report, key=key)

    # ---- sending ----

    async def _put(
        self,
        rows: Iterable[Row],
        report: Loaded,
        step: Step,
        path: str,
        body: Callable[[Row], dict[str, Any]],
        api: Api | None = None,
    ) -> None:
        """Publish entries one by one, the earliest first."""
        for row in sorted(rows, key=lambda row: row["effective_date"]):
            await self._publish(api or self._people, f"{path}/{row['code']}", body(row), [row], report, step)

    async def _publish(
        self, api: Api, path: str, body: dict[str, Any], rows: Sequence[Row], report: Loaded, step: Step
    ) -> None:
        """Publish one entry, unless it stands so already."""
        try:
            published, _ = await api.get(path, as_of=body["effective_date"])
        except Refused as refused:
            if refused.status != NOT_FOUND:
                raise
        else:
            if _says(published, body):
                report.unchanged += len(rows)
                step.advance(len(rows))
                return
        await self._send(api, "PUT", path, body, rows, report, step)

    async def _send(
        self,
        api: Api,
        method: str,
        path: str,
        body: dict[str, Any],
        rows: Sequence[Row],
        report: Loaded,
        step: Step | None = None,
        *,
        key: str = "",
        etag: str = "",
        counted: int | None = None,
    ) -> None:
        """One request that stands for these rows; a refusal becomes a problem of the first of them."""
        try:
            _, replayed = await api.change(method, path, body, key, etag)
        except Refused as refused:
            if refused.status in (401, 403):
                raise
            if refused.reason != "NOTHING_CHANGES":
                report.problems.append(rows[0].problem(str(refused)))
                return
            replayed = True
        for _ in range(len(rows) if counted is None else counted):
            report.count(replayed)
            if step is not None:
                step.advance()


def _punch(row: Row, employee_id: str) -> dict[str, Any]:
    content = f"{row['employee_number']}|{row['punched_at']}|{row['direction']}"
    return _given(
        punch_id=str(uuid.uuid5(PUNCHES, content)),
        employee_id=employee_id,
        punched_at=row["punched_at"],
        direction=row["direction"],
        source=row["source"] or "IMPORT",
    )


def _statutory(row: Row) -> dict[str, str]:
    """The answers that the row gives."""
    return {name: row[name] for name in STATUTORY if row[name] is not None}


def _same_answer(known: str | None, given: str) -> bool:
    if known is None or not known or not given:
        return (known or "") == given
    return known == given or (_is_number(known) and _is_number(given) and equal_amounts(known, given))


def _instant_of(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _account(holder: str, account: str, code: str | None, bank: str | None, **part: Any) -> dict[str, Any]:
    return _given(holder_name=holder, account_number=account, bank_code=code, bank_name=bank, **part)


def _balance(row: Row, employee_id: str) -> dict[str, Any]:
    taxed = ("income", "contributions", "special_additional", "tax", "months")
    return {
        "employee_id": employee_id,
        **{name: row[name] for name in ("gross", "deductions", "net")},
        "statutory": {name: str(row[name]) for name in taxed},
    }


def _says(published: Any, given: Any) -> bool:
    """Whether an entry says all that is given; what is not given stands as it is."""
    if isinstance(given, dict):
        return isinstance(published, dict) and all(_says(published.get(name), each) for name, each in given.items())
    if isinstance(given, list):
        if not isinstance(published, list) or len(published) != len(given):
            return False
        return all(_says(one, other) for one, other in zip(published, given, strict=True))
    return bool(published == given)


def _given(**values: Any) -> dict[str, Any]:
    """Without what is not given: the contract's defaults stand in for it."""
    return {name: value for name, value in values.items() if value is not None}


def _named(row: Row, **values: Any) -> dict[str, Any]:
    return _given(effective_date=row["effective_date"], name=row["name"], **values)


def _grouped(rows: Sequence[Row], *columns: str) -> list[tuple[str, list[Row]]]:
    """Rows that belong together, named by their columns' values."""

    def name(row: Row) -> str:
        return "\0".join(row[column] for column in columns)

    return [(key, list(group)) for key, group in groupby(sorted(rows, key=name), key=name)]


def _placed(refused: Refused, rows: Sequence[Row], items: str) -> list[Problem]:
    """The refusal of a whole batch as problems of the rows that it names. Raises it where it concerns no row."""
    if refused.status in (401, 403):
        raise refused
    found = []
    for path, message in refused.fields.items():
        parts = path.split(".")
        if len(parts) > 1 and parts[0] == items and parts[1].isdigit() and int(parts[1]) < len(rows):
            found.append(rows[int(parts[1])].problem(message, ".".join(parts[2:])))
    return found or [rows[0].problem(str(refused))]


def _told(report: Loaded, verb: str) -> str:
    parts = [f"{report.changed:,} {verb}"] if report.changed or not report.unchanged else []
    if report.note:
        parts.append(report.note)
    if report.unchanged:
        parts.append(f"{report.unchanged:,} there already")
    if report.problems:
        parts.append(f"{len(report.problems):,} refused")
    return ", ".join(parts)


async def import_company(folder: Path, base_url: str, token: str, dry_run: bool, as_json: bool) -> None:
    """Check the files, and load them unless `dry_run`. Ends with code 1 and every problem where there is one."""
    console = console_for()
    company = await asyncio.to_thread(read_company, folder)
    loaded: list[Loaded] = []
    problems = company.problems
    if not problems and not dry_run:
        if not token:
            typer.secho("name a token: muster import ... --token $(muster token --tenant T --role owner)", err=True)
            raise typer.Exit(2)
        async with connected(base_url) as client:
            api = Api(client, token)
            load = CompanyLoad(company, api, api, Steps(None if as_json else console))
            try:
                await load.run()
            except Refused as refused:
                raise OSError(f"the backend refused: {refused}; use the token of an owner") from None
        loaded = load.loaded
        problems = [problem for report in loaded for problem in report.problems]
    if as_json:
        typer.echo(json.dumps(_report(company, loaded, problems, dry_run), ensure_ascii=False))
    else:
        for problem in problems[:SHOWN_PROBLEMS]:
            typer.secho(str(problem), err=True)
        if len(problems) > SHOWN_PROBLEMS:
            typer.secho(f"... and {len(problems) - SHOWN_PROBLEMS:,} more; mend these first", err=True)
        typer.secho(_verdict(company, loaded, problems, dry_run), err=bool(problems))
    if problems:
        raise typer.Exit(1)


def _verdict(company: Company, loaded: Sequence[Loaded], problems: Sequence[Problem], dry_run: bool) -> str:
    rows = sum(len(rows) for rows in company.rows.values())
    if problems and not loaded:
        return f"mend what stands above ({len(problems):,} in all); nothing was sent"
    if problems:
        return f"stopped after {loaded[-1].file}: mend the rows above and run this again; what was taken is not doubled"
    if dry_run:
        return f"{rows:,} rows in {len(company.rows)} files can be read; nothing was sent"
    changed = sum(report.changed for report in loaded)
    return f"{rows:,} rows in {len(company.rows)} files: {changed:,} taken, the rest was there already"


def _report(company: Company, loaded: Sequence[Loaded], problems: Sequence[Problem], dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "files": [
            {"file": f"{name}.csv", "rows": len(rows)} for name, rows in company.rows.items()
        ] if not loaded else [
            {"file": each.file, "rows": each.rows, "changed": each.changed, "unchanged": each.unchanged,
             "seconds": round(each.seconds, 3)} for each in loaded
        ],
        "problems": [
            {"file": each.file, "line": each.line, "column": each.column, "message": each.message}
            for each in problems
        ],
    }  # fmt: skip
