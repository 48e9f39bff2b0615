"""`muster demo`: the main job on a company's files, from an empty folder to final payslips, each step with its time."""

import asyncio
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import typer
from rich.console import Console

from chassis.assertion import Signer
from chassis.lifecycle import Listener
from chassis.rpc.channels import Channels
from chassis.settings import Settings
from interfaces.cli.company import Api, CompanyLoad, Refused, connected
from interfaces.cli.company_files import Company, read_company
from interfaces.cli.demo_story import (
    Books,
    changed_wages,
    print_explained,
    print_register,
    print_story,
    the_awkward_one,
)
from interfaces.cli.embedded import Embedded, embedded
from interfaces.cli.operator import create_tenant, issue_token
from interfaces.cli.progress import Step, Steps, console_for

TENANT = "huaxing"
ROLES = ("hr_admin", "payroll_admin", "payroll_approver")
SERVE_PORT = 8080
READY_S, CLOSED_S, CALCULATED_S = 15.0, 30.0, 60.0
POLL_S = 0.03
MAX_CLOSING_PAGES = 1000
MAX_PEOPLE_SHOWN = 500


class DemoFailed(Exception):
    """The main job did not come to its end; the message says at what and why."""


@dataclass(frozen=True, slots=True)
class Callers:
    """Three people with a token each: who keeps the files, who prepares the pay, and who approves it."""

    hr: Api
    payroll: Api
    approver: Api


async def run_demo(company: Path, data: Path | None, keep_up: bool) -> None:
    """Run the main job on the folder's files and show what came of it; ends with code 1 and one sentence on failure."""
    console = console_for()
    try:
        with _data_folder(data) as folder:
            await _run(console, company, folder, data is None, keep_up)
    except (DemoFailed, Refused) as failed:
        typer.secho(f"the demo stopped: {failed}", err=True, fg=typer.colors.RED)
        raise typer.Exit(1) from None


def _data_folder(data: Path | None) -> AbstractContextManager[Path]:
    """An empty folder: the one that was named, else one that goes away afterwards. Raises DemoFailed."""
    if data is None:
        return _temporary()
    if data.exists() and any(data.iterdir()):
        raise DemoFailed(f"{data} is not empty; name an empty folder, so that the demo starts from nothing")
    return nullcontext(data)


@contextmanager
def _temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="muster-demo-") as folder:
        yield Path(folder) / "data"  # the keys stand beside the data


async def _run(console: Console, folder: Path, data: Path, goes_away: bool, keep_up: bool) -> None:
    before, began = _process_age_s(), time.perf_counter()
    company = await asyncio.to_thread(read_company, folder)
    if company.problems:
        first = company.problems[0]
        raise DemoFailed(f"the files cannot be used; {first}; all of it: muster import {folder} --dry-run")
    period, pay_group = _period_of(company), _pay_group_of(company)
    checked_s = time.perf_counter() - began
    console.print(f"Muster: {_title(company, period)}", style="bold")
    steps = Steps(console)
    with steps.step("start Python and the program") as step:
        step.say("imports")
        step.add_seconds(before)
    with steps.step("read and check the files") as step:
        step.say(f"{sum(map(len, company.rows.values())):,} rows in {len(company.rows)} files")
        step.add_seconds(checked_s)
    backend_of = embedded(Settings.embedded(data), _listener(keep_up))
    async with _started(steps, backend_of) as (backend, client):
        callers = await _callers(steps, backend, client, company)
        console.print(f"\nLoad the company from {folder}/ through the REST API", style="bold")
        await _load(steps, company, callers)
        console.print(f"\nClose {period} and pay {pay_group}", style="bold")
        await _close(steps, callers, company, pay_group, period)
        run = await _pay(steps, callers, pay_group, period)
        with steps.step("read the payslips") as step:
            books = await _books(callers, run, company, period)
            step.say(f"{len(books.payslips)} payslips, {sum(len(each['lines']) for each in books.payslips)} lines")
        _must_agree(books)
        seconds = before + time.perf_counter() - began

        print_register(console, books)
        await _explain(console, books, callers.payroll)
        print_story(console, books)
        _say_total(console, steps, before, seconds)
        if keep_up:
            await client.aclose()  # its idle connections would hold up the end
            await _stay_up(console, backend, data, goes_away)


def _process_age_s() -> float:
    """Seconds since this process began, so that the imports count; 0 where the system does not tell."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
    return max(age, 0.0)


def _listener(keep_up: bool) -> Listener:
    """Any free port; the usual one where people are to find it and it is free."""
    if keep_up:
        usual = Listener("127.0.0.1", SERVE_PORT)
        try:
            usual.bind().close()
            return usual
        except OSError:
            pass
    return Listener("127.0.0.1", 0)


@asynccontextmanager
async def _started(
    steps: Steps, backend_of: AbstractAsyncContextManager[Embedded]
) -> AsyncIterator[tuple[Embedded, httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        with steps.step("start the backend") as step:
            backend = await stack.enter_async_context(backend_of)
            client = await stack.enter_async_context(connected(backend.base_url))
            await _ready(client)
            step.say("one process, SQLite, an empty data folder")
        yield backend, client


async def _ready(client: httpx.AsyncClient) -> None:
    deadline = time.perf_counter() + READY_S
    while time.perf_counter() < deadline:
        response = await client.get("/readyz")
        if response.is_success:
            return
        await asyncio.sleep(POLL_S)
    raise DemoFailed(f"the backend was not ready within {READY_S:.0f} s: {response.text[:200]}")


async def _callers(steps: Steps, backend: Embedded, client: httpx.AsyncClient, company: Company) -> Callers:
    entities = company.of("legal_entities")
    name = entities[0]["name"] if entities else TENANT
    channels = Channels(backend.settings, Signer.open(backend.settings))
    try:
        with steps.step("create a tenant and three people") as step:
            identity = channels.to("identity")
            await create_tenant(identity, TENANT, name, "Asia/Shanghai", "CNY", "owner")
            tokens = [str((await issue_token(identity, TENANT, role))["access_token"]) for role in ROLES]
            step.say(", ".join(ROLES))
    finally:
        await channels.close()
    return Callers(*(Api(client, token) for token in tokens))


# ---- the main job ---------------------------------------------------------------------------------------------------


async def _load(steps: Steps, company: Company, callers: Callers) -> None:
    load = CompanyLoad(company, callers.hr, callers.payroll, steps)
    if not await load.run():
        problems = load.loaded[-1].problems
        raise DemoFailed(f"{len(problems)} rows were refused; the first: {problems[0]}")


async def _close(steps: Steps, callers: Callers, company: Company, pay_group: str, period: str) -> None:
    """Everybody's time submitted and approved by HR, locked by payroll."""
    expected = sum(1 for row in company.of("employees") if _in_period(row, period, company, pay_group))
    for target, verb, who, api in (
        ("SUBMITTED", "submit", "hr_admin", callers.hr),
        ("APPROVED", "approve", "hr_admin", callers.hr),
        ("LOCKED", "lock", "payroll_admin", callers.payroll),
    ):
        with steps.step(f"{verb} the timesheets", expected) as step:
            done = await _closed(api, pay_group, period, target, expected, step)
            step.say(f"{done} {target}, by {who}")


def _in_period(row: Any, period: str, company: Company, pay_group: str) -> bool:
    number = row["employee_number"]
    left = min(
        (each["last_day"] for each in company.of("terminations") if each["employee_number"] == number), default="9"
    )
    hired = str(row["hire_date"])
    return bool(row["pay_group"] == pay_group and hired[:7] <= period <= left)


async def _closed(api: Api, pay_group: str, period: str, target: str, expected: int, step: Step) -> int:
    """How many stand at the target: all who are expected; attendance hears of the last hires a moment later."""
    deadline = time.perf_counter() + CLOSED_S
    while True:
        done, refused = await _closing_round(api, pay_group, period, target)
        step.reach(done)
        if done >= expected and not refused:
            return done
        if refused:
            first = refused[0]
            raise DemoFailed(
                f"{len(refused)} timesheets cannot be {target}; the first, of employee {first['employee_id']}: "
                f"{first['refusal']['message']} [{first['refusal']['reason']}]"
            )
        if time.perf_counter() > deadline:
            raise DemoFailed(f"{done} of {expected} timesheets were {target} within {CLOSED_S:.0f} s")
        await asyncio.sleep(POLL_S)


async def _closing_round(api: Api, pay_group: str, period: str, target: str) -> tuple[int, list[Any]]:
    done = 0
    refused: list[Any] = []
    cursor = ""
    for _ in range(MAX_CLOSING_PAGES):
        body = {"pay_group": pay_group, "period": period, "target_status": target, "cursor": cursor}
        answer, _ = await api.change("POST", "/v1/timesheet-closings", body, key=f"demo-{uuid.uuid4()}")
        refused.extend(result for result in answer["results"] if result["refusal"])
        done += sum(1 for result in answer["results"] if not result["refusal"])
        cursor = answer["next_cursor"] or ""
        if not cursor:
            break
    return done, refused


async def _pay(steps: Steps, callers: Callers, pay_group: str, period: str) -> Any:
    """The run, calculated by one person, approved by another, final."""
    with steps.step("create the payroll run") as step:
        run, _ = await callers.payroll.change(
            "POST", "/v1/payroll-runs", {"pay_group": pay_group, "period": period, "kind": "REGULAR"}
        )
        path = f"/v1/payroll-runs/{run['id']}"
        step.say(f"pay date {run['pay_date']}, by payroll_admin")
    with steps.step("calculate the payslips") as step:
        await callers.payroll.change("POST", f"{path}/calculate", {}, key=f"demo-{uuid.uuid4()}")
        run = await _calculated(callers.payroll, path, step)
        step.say(f"{run['progress']['done']} payslips, calculation {run['calculation_hash'][:12]}")
    with steps.step("approve what was calculated") as step:
        body = {"calculation_hash": run["calculation_hash"]}
        refusal = await _refused(callers.payroll, f"{path}/approve", body)
        await callers.approver.change("POST", f"{path}/approve", body)
        step.say(f"by payroll_approver (payroll_admin: {refusal})")
    with steps.step("finalize the run") as step:
        await callers.approver.change("POST", f"{path}/finalize", {})
        run, _ = await callers.payroll.get(path)
        step.say(f"{run['status']}, its payslips never change again")
    return run


async def _calculated(api: Api, path: str, step: Step) -> Any:
    deadline = time.perf_counter() + CALCULATED_S
    while time.perf_counter() < deadline:
        run, _ = await api.get(path)
        step.total = run["progress"]["total"]
        step.reach(run["progress"]["done"])
        if run["status"] == "CALCULATED":
            if run["progress"]["blocked"]:
                page, _ = await api.get(f"{path}/blockers")
                first = page["data"][0]
                raise DemoFailed(
                    f"{run['progress']['blocked']} people have no payslip; the first, employee {first['employee_id']}: "
                    f"{first['message']} [{first['reason']}]"
                )
            return run
        await asyncio.sleep(POLL_S)
    raise DemoFailed(f"the run was not calculated within {CALCULATED_S:.0f} s; it is {run['status']}")


async def _refused(api: Api, path: str, body: Any) -> str:
    """The reason for which a request is refused. Raises DemoFailed where it is not."""
    try:
        await api.change("POST", path, body, key=f"demo-{uuid.uuid4()}")
    except Refused as refused:
        return refused.reason
    raise DemoFailed("who prepared the run could approve it; four eyes are needed")


# ---- what came of it ------------------------------------------------------------------------------------------------


async def _books(callers: Callers, run: Any, company: Company, period: str) -> Books:
    """Everything that the register, the explanation and the story speak of, as the API answers it."""
    employees = {employee["id"]: employee for employee in await callers.hr.pages("/v1/employees")}
    summaries = await callers.payroll.pages(f"/v1/payroll-runs/{run['id']}/payslips")
    payslips: list[Any] = []
    timesheets: dict[str, Any] = {}
    traces: dict[str, Any] = {}
    for summary in summaries[:MAX_PEOPLE_SHOWN]:
        payslip, _ = await callers.payroll.get(f"/v1/payslips/{summary['id']}")
        page, _ = await callers.hr.get("/v1/timesheets", employee_id=summary["employee_id"], period=period)
        payslips.append(payslip)
        timesheets[summary["employee_id"]] = page["data"][0]
    payslips.sort(key=lambda each: employees[each["employee_id"]]["employee_number"])
    books = Books(run, period, employees, payslips, timesheets, company, traces)
    for payslip in changed_wages(books):
        traces[payslip["id"]], _ = await callers.payroll.get(f"/v1/payslips/{payslip['id']}/lines/BASE/trace")
    return books


def _must_agree(books: Books) -> None:
    """The run's totals are the sums of its payslips, to the cent."""
    if len(books.payslips) < books.run["progress"]["done"]:
        return  # not all of a large company are read
    for name in ("gross", "net", "employer_cost"):
        total, sums = books.amount(books.run["totals"][name]), sum(books.amount(each[name]) for each in books.payslips)
        if total != sums:
            raise DemoFailed(f"the run's {name} is {total}, but its payslips sum to {sums}")


async def _explain(console: Console, books: Books, api: Api) -> None:
    chosen = the_awkward_one(books)
    traces = {}
    for line in chosen["lines"]:
        traces[line["code"]], _ = await api.get(f"/v1/payslips/{chosen['id']}/lines/{line['code']}/trace")
    replay, _ = await api.change("POST", f"/v1/payslips/{chosen['id']}/replay", {})
    if not replay["matches"]:
        raise DemoFailed(f"payslip {chosen['id']} came out otherwise when it was calculated anew")
    print_explained(console, books, chosen, traces, replay)


def _say_total(console: Console, steps: Steps, before: float, seconds: float) -> None:
    loading = sum(step.seconds for step in steps.over if step.title.endswith(".csv"))
    console.print(
        f"\nThe main job took {seconds:.1f} s from an empty folder to final payslips: {before:.1f} s to start Python, "
        f"{loading:.1f} s to load the files, {seconds - before - loading:.1f} s for the rest.",
        style="bold",
    )


async def _stay_up(console: Console, backend: Embedded, data: Path, goes_away: bool) -> None:
    console.print(f"\nMuster stays up: {backend.base_url}   API docs: {backend.base_url}/docs   (Ctrl-C stops it)")
    console.print("A token lives 15 minutes and has one role (hr_admin, payroll_admin, payroll_approver, owner, ...):")
    command = sys.argv[0] if Path(sys.argv[0]).name == "muster" else "muster"
    console.print(f"  export TOKEN=$({command} token --tenant {TENANT} --role hr_admin --data {data})", soft_wrap=True)
    console.print(f'  curl -H "Authorization: Bearer $TOKEN" {backend.base_url}/v1/employees?limit=3', soft_wrap=True)
    if goes_away:
        console.print("The data is in a temporary folder and goes away at the end; --data keeps it.")
    backend.lifecycle.handle_signals()
    await backend.lifecycle.run_until_stopped()


# ---- the files ------------------------------------------------------------------------------------------------------


def _period_of(company: Company) -> str:
    """The month that has most of the punches."""
    months = Counter(row["punched_at"][:7] for row in company.of("punches"))
    if not months:
        raise DemoFailed("there are no punches; the demo closes and pays the month of punches.csv")
    return str(months.most_common(1)[0][0])


def _pay_group_of(company: Company) -> str:
    groups = [row for row in company.of("pay_groups") if row["frequency"] == "MONTH"]
    if not groups:
        raise DemoFailed("there is no monthly pay group; the demo pays one of pay_groups.csv")
    return str(groups[0]["code"])


def _title(company: Company, period: str) -> str:
    entities = company.of("legal_entities")
    name = entities[0]["name"] if entities else "a company"
    return f"{name}, {len(company.of('employees'))} people, {period}"
