"""`muster demo`: the main job on a company's files, from an empty folder to final payslips, each step with its time."""

import asyncio
import os
import sys
import tempfile
import time
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
from decimal import Decimal
from pathlib import Path

import httpx
import typer
from rich.console import Console

from chassis.assertion import Signer
from chassis.rpc.channels import Channels
from interfaces.cli.company import Api, Refused, connected
from interfaces.cli.company_files import Company, read_company
from interfaces.cli.demo_backend import Backend, many_processes, one_process
from interfaces.cli.demo_books import Books, print_explained, print_register, read_books, the_awkward_one
from interfaces.cli.demo_month import POLL_S, Callers, DemoFailed, Office, load
from interfaces.cli.demo_story import print_story
from interfaces.cli.operator import create_tenant, issue_token
from interfaces.cli.progress import Steps, console_for

TENANT = "huaxing"
ROLES = ("hr_admin", "payroll_admin", "payroll_approver")
READY_S = 15.0


async def run_demo(company: Path, data: Path | None, keep_up: bool, distributed: bool = False) -> None:
    """Run the main job on the folder's files and show what came of it; ends with code 1 and one sentence on failure."""
    console = console_for()
    try:
        with _data_folder(data) as folder:
            await _run(console, company, folder, data is None, keep_up, distributed)
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


async def _run(console: Console, folder: Path, data: Path, goes_away: bool, keep_up: bool, distributed: bool) -> None:
    before, began = _process_age_s(), time.perf_counter()
    company = await asyncio.to_thread(read_company, folder)
    if company.problems:
        first = company.problems[0]
        raise DemoFailed(f"the files cannot be used; {first}; all of it: muster import {folder} --dry-run")
    period, groups = _period_of(company), _pay_groups_of(company)
    checked_s = time.perf_counter() - began
    console.print(f"Muster: {_title(company, period)}", style="bold")
    steps = Steps(console)
    with steps.step("start Python and the program") as step:
        step.say("imports")
        step.add_seconds(before)
    with steps.step("read and check the files") as step:
        step.say(f"{sum(map(len, company.rows.values())):,} rows in {len(company.rows)} files")
        step.add_seconds(checked_s)
    backend_of = (many_processes if distributed else one_process)(data, keep_up)
    async with _started(steps, backend_of) as (backend, client):
        callers = await _callers(steps, backend, client, company)
        console.print(f"\nLoad the company from {folder}/ through the REST API", style="bold")
        await load(company, callers, steps)
        office = Office(steps, callers, company, folder, period)
        console.print(f"\nClose {period}", style="bold")
        await office.close(groups)
        console.print(f"\nPay {period}", style="bold")
        await office.open_year(groups)
        await office.pay(groups)
        await office.pay_beside(groups)
        await office.take_back(groups)
        with steps.step("read what came of it") as step:
            books = await read_books(callers, office.month, company, step)
            step.say(f"{len(books.timesheets)} timesheets, {len(books.payslips)} payslips")
        _must_agree(books)
        seconds = before + time.perf_counter() - began

        named = print_story(console, books)
        print_register(console, books, named)
        await _explain(console, books, callers.payroll)
        _say_total(console, steps, before, seconds)
        if keep_up:
            await client.aclose()  # its idle connections would hold up the end
            await _stay_up(console, backend, goes_away)


def _process_age_s() -> float:
    """Seconds since this process began, so that the imports count; 0 where the system does not tell."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
    return max(age, 0.0)


@asynccontextmanager
async def _started(
    steps: Steps, backend_of: AbstractAsyncContextManager[Backend]
) -> AsyncIterator[tuple[Backend, httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        with steps.step("start the backend") as step:
            backend = await stack.enter_async_context(backend_of)
            client = await stack.enter_async_context(connected(backend.base_url))
            await _ready(client)
            step.say(backend.description)
        yield backend, client


async def _ready(client: httpx.AsyncClient) -> None:
    deadline = time.perf_counter() + READY_S
    while time.perf_counter() < deadline:
        response = await client.get("/readyz")
        if response.is_success:
            return
        await asyncio.sleep(POLL_S)
    raise DemoFailed(f"the backend was not ready within {READY_S:.0f} s: {response.text[:200]}")


async def _callers(steps: Steps, backend: Backend, client: httpx.AsyncClient, company: Company) -> Callers:
    entities = company.of("legal_entities")
    name = entities[0]["name"] if entities else TENANT
    channels = Channels(backend.settings, Signer.open(backend.settings))
    try:
        with steps.step("create a tenant and three people") as step:
            identity = channels.to("identity")
            await create_tenant(identity, TENANT, name, "Asia/Shanghai", "CNY", "owner")
            hr, payroll, approver = [
                Api(client, str((await issue_token(identity, TENANT, role))["access_token"])) for role in ROLES
            ]
            step.say(", ".join(ROLES))
    finally:
        await channels.close()

    async def manager(employee_id: str) -> Api:
        channels = Channels(backend.settings, Signer.open(backend.settings))
        try:
            issued = await issue_token(channels.to("identity"), TENANT, "manager", employee_id)
        finally:
            await channels.close()
        return Api(client, str(issued["access_token"]))

    return Callers(hr, payroll, approver, manager)


# ---- what came of it ------------------------------------------------------------------------------------------------


def _must_agree(books: Books) -> None:
    """The totals of each run are the sums of its payslips, to the cent."""
    for payday in books.month.runs:
        for name in ("gross", "net", "employer_cost"):
            total = books.amount(payday.run["totals"][name])
            sums = sum((Decimal(row[name]) for row in payday.rows), Decimal())
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


async def _stay_up(console: Console, backend: Backend, goes_away: bool) -> None:
    data = backend.settings.data_dir
    console.print(f"\nMuster stays up: {backend.base_url}   API docs: {backend.base_url}/docs   (Ctrl-C stops it)")
    console.print("A token lives 15 minutes and has one role (hr_admin, payroll_admin, payroll_approver, owner, ...):")
    command = sys.argv[0] if Path(sys.argv[0]).name == "muster" else "muster"
    console.print(f"  export TOKEN=$({command} token --tenant {TENANT} --role hr_admin --data {data})", soft_wrap=True)
    console.print(f'  curl -H "Authorization: Bearer $TOKEN" {backend.base_url}/v1/employees?limit=3', soft_wrap=True)
    if goes_away:
        console.print("The data is in a temporary folder and goes away at the end; --data keeps it.")
    await backend.stay()


# ---- the files ------------------------------------------------------------------------------------------------------


def _period_of(company: Company) -> str:
    """The month that has most of the punches."""
    months = Counter(row["punched_at"][:7] for row in company.of("punches"))
    if not months:
        raise DemoFailed("there are no punches; the demo closes and pays the month of punches.csv")
    return str(months.most_common(1)[0][0])


def _pay_groups_of(company: Company) -> list[str]:
    groups = list(dict.fromkeys(row["code"] for row in company.of("pay_groups") if row["frequency"] == "MONTH"))
    if not groups:
        raise DemoFailed("there is no monthly pay group; the demo pays those of pay_groups.csv")
    return groups


def _title(company: Company, period: str) -> str:
    entities = company.of("legal_entities")
    name = entities[0]["name"] if entities else "a company"
    more = f" and {len(entities) - 1} more" if len(entities) > 1 else ""
    return f"{name}{more}, {len(company.of('employees'))} people, {period}"
