"""The `muster` command: its verbs.

What a verb needs is imported when it runs: with everything at the top, `muster --help` and `muster import` took 2.5 s
to begin, instead of 0.3 s. tests/architecture/test_start.py holds it.
"""

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from chassis.lifecycle import Running
    from chassis.rpc.channels import Client
    from chassis.settings import Settings

DATA = Path("muster-data")
UP = Path("muster-up")

app = typer.Typer(
    name="muster",
    help="Muster: who is in the company, when they were there, and what they are paid for it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
tenant_app = typer.Typer(help="Companies on this installation.", no_args_is_help=True)
app.add_typer(tenant_app, name="tenant")
events_app = typer.Typer(help="Published events, and work that parked about them.", no_args_is_help=True)
app.add_typer(events_app, name="events")
jobs_app = typer.Typer(help="Background work of the data services.", no_args_is_help=True)
app.add_typer(jobs_app, name="jobs")
JOB_STATES = ("WAITING", "RUNNING", "DONE", "FAILED")

gateway_app = typer.Typer(help="The gateway of the distributed form.", no_args_is_help=True)
app.add_typer(gateway_app, name="gateway")

DataDir = Annotated[
    Path, typer.Option("--data", envvar="MUSTER_DATA_DIR", help="The folder of the embedded form's databases.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end with a code that is not 0."""
    typer.secho(message, err=True, fg=typer.colors.RED)
    raise typer.Exit(code)


def settings_for(data: Path) -> "Settings":
    """The environment's settings, with the embedded form's defaults for what it does not say."""
    from dataclasses import replace

    from chassis.settings import Settings, SettingsProblem
    from interfaces.cli.parts import PARTS

    try:
        return replace(Settings.read(services=PARTS), data_dir=data)
    except SettingsProblem as problem:
        fail(str(problem), 2)


@asynccontextmanager
async def identity_client(data: Path) -> "AsyncIterator[Client]":
    """Identity, as the operator of this machine calls it."""
    async with data_services(data, ("identity",)) as client_of:
        yield client_of("identity")


@asynccontextmanager
async def data_services(data: Path, names: tuple[str, ...]) -> "AsyncIterator[Callable[[str], Client]]":
    """Data services, as the operator of this machine calls them: those that run, else some started for this command."""
    from chassis.assertion import Signer
    from chassis.rpc.channels import Channels
    from interfaces.cli.data_folder import addresses_of_running, held, prepare_secrets

    settings = settings_for(data)
    addresses = {**settings.addresses, **addresses_of_running(data)}
    if all(name in addresses for name in names):
        channels = Channels(settings, Signer.open(settings), addresses)
        try:
            yield channels.to
        finally:
            await channels.close()
        return
    from chassis.lifecycle import Lifecycle
    from interfaces.cli.run import start_services

    with held(data):
        prepare_secrets(settings)
        async with Lifecycle(grace_s=1.0) as lifecycle:
            settings = await start_services(lifecycle, settings, names)
            channels = Channels(settings, Signer.open(settings))
            try:
                yield channels.to
            finally:
                await channels.close()


def load_lightly() -> None:
    """What a service loads is no garbage: collecting waits until it is up (`spare_garbage_collection`)."""
    gc.disable()
    from interfaces.cli.light import load_logging

    load_logging()


def run(work: Callable[[], Awaitable[None]], *, quiet: bool = True) -> None:
    """Run a verb on the process's event loop; expected refusals become one sentence and exit code 1."""
    from chassis.lifecycle import CannotStart
    from chassis.lifecycle import run as run_loop
    from chassis.rpc.error_map import RemoteError
    from chassis.telemetry import configure_logging
    from kernel.errors import DomainError

    if quiet:
        configure_logging(level="WARNING", json=False)

    async def main() -> None:
        await work()

    try:
        run_loop(main)
    except (CannotStart, RemoteError, DomainError, OSError) as problem:
        fail(str(problem))
    except Exception as problem:
        # A command that opened no database has not loaded what tells of one, and need not.
        connections = sys.modules.get("chassis.connections")
        if connections is None or not isinstance(problem, connections.Unavailable):
            raise
        fail("the database does not answer, or not to this user: is it up, and is MUSTER_<SERVICE>_DATABASE_URL right?")


@contextmanager
def plainly() -> Iterator[None]:
    """What stands in the way of a deployment becomes one sentence and exit code 1."""
    from chassis.lifecycle import CannotStart
    from interfaces.cli.private_servers import ServerFailed, ServerMissing
    from interfaces.cli.up import NotUp
    from interfaces.gateway.envoy import EnvoyMissing

    try:
        yield
    except (NotUp, EnvoyMissing, ServerFailed, ServerMissing, CannotStart, OSError) as problem:
        fail(str(problem))


@app.command()
def serve(
    data: DataDir = DATA,
    port: Annotated[int, typer.Option(help="HTTP port on 127.0.0.1.", min=0, max=65535)] = 8080,
) -> None:
    """Keep the whole backend up in this process (SQLite; API docs at /docs)."""
    load_lightly()
    from chassis.lifecycle import Listener
    from chassis.telemetry import configure_logging
    from interfaces.cli.embedded import embedded

    settings = settings_for(data)
    configure_logging(level=settings.log_level, json=settings.log_json)

    async def work() -> None:
        async with embedded(settings, Listener("127.0.0.1", port)) as backend:
            backend.lifecycle.handle_signals()
            typer.echo(f"Muster is up: {backend.base_url}   API docs: {backend.base_url}/docs   (Ctrl-C stops it)")
            await backend.lifecycle.run_until_stopped()

    run(work, quiet=False)


@app.command(name="run")
def run_command(
    part: Annotated[
        str,
        typer.Argument(
            help="identity, organization, attendance, payroll, application, push, control-plane, ratelimit, gateway"
        ),
    ],
    data: DataDir = DATA,
) -> None:
    """Run one part of the distributed form; MUSTER_* variables say where everything is."""
    load_lightly()
    from chassis.telemetry import configure_logging
    from interfaces.cli.parts import PARTS
    from interfaces.cli.run import run_part

    if part not in PARTS:
        fail(f"{part} is no part: choose one of {', '.join(PARTS)}", 2)
    settings = settings_for(data)
    configure_logging(level=settings.log_level, json=settings.log_json)

    if part == "gateway":
        become_gateway(settings)

    def ready(running: "Running") -> None:
        print(json.dumps({"part": part, "address": running.address}), flush=True)

    run(lambda: run_part(part, settings, ready), quiet=False)


def become_gateway(settings: "Settings") -> NoReturn:
    """Become Envoy with the gateway's configuration."""
    from chassis.settings import SettingsProblem
    from interfaces.gateway.envoy import EnvoyMissing
    from interfaces.gateway.process import ConfigurationRefused, become_envoy

    try:
        become_envoy(settings)
    except (SettingsProblem, EnvoyMissing, ConfigurationRefused, OSError) as problem:
        fail(str(problem))


@gateway_app.command("config")
def gateway_config(data: DataDir = DATA) -> None:
    """Print the configuration (Envoy's bootstrap, JSON) that `muster run gateway` would start with."""
    from chassis.settings import SettingsProblem
    from interfaces.gateway.bootstrap import bootstrap

    try:
        json.dump(bootstrap(settings_for(data)), sys.stdout, indent=1)
    except SettingsProblem as problem:
        fail(str(problem))
    sys.stdout.write("\n")


@app.command()
def up(
    folder: Annotated[Path, typer.Option("--dir", help="Everything that it writes is in this folder.")] = UP,
    port: Annotated[int, typer.Option(help="The port of base_url on 127.0.0.1; 0: any.", min=0, max=65535)] = 8080,
    replicas: Annotated[int, typer.Option(help="Of each data service and application.", min=1, max=8)] = 1,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay; Ctrl-C takes it down.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Start the distributed form on this machine: every part a process, with private servers; prints JSON."""
    from interfaces.cli.light import load_logging

    load_logging()
    from interfaces.cli.up import start_in_background, supervise

    def tell(state: dict[str, Any]) -> None:
        if not quiet:
            print(json.dumps(state), flush=True)

    settings_for(folder / "data")
    with plainly():
        if foreground:
            supervise(folder, port, replicas, tell)
        else:
            tell(start_in_background(folder, port, replicas))


@app.command()
def down(
    folder: Annotated[Path, typer.Option("--dir", help="The folder that `muster up` was given.")] = UP,
) -> None:
    """Drain what `muster up` started in this folder and leave nothing running; the data stays."""
    from interfaces.cli.up import stop

    with plainly():
        typer.echo(json.dumps(stop(folder)))


@app.command()
def restart(
    folder: Annotated[Path, typer.Option("--dir", help="The folder that `muster up` was given.")] = UP,
) -> None:
    """Restart every part that `muster up` started, in waves; with two replicas no request is lost."""
    from interfaces.cli.up import restart as restart_all

    with plainly():
        typer.echo(json.dumps(restart_all(folder)))


@app.command()
def demo(
    keep_up: Annotated[bool, typer.Option("--serve", help="Stay up afterwards.")] = False,
    company: Annotated[Path, typer.Option(help="The company's CSV files.")] = Path("sample"),
    data: Annotated[Path | None, typer.Option("--data", help="Keep the data in this empty folder.")] = None,
    distributed: Annotated[bool, typer.Option("--distributed", help="On every part as its own process.")] = False,
) -> None:
    """The main job on a sample company: load it, close its month, calculate, approve and finalize its payroll."""
    from interfaces.cli.demo import run_demo

    with plainly() if distributed else nullcontext():
        run(lambda: run_demo(company, data, keep_up, distributed))


@app.command(name="import")
def import_command(
    folder: Annotated[Path, typer.Argument(help="A folder of CSV files as in sample/.")],
    base_url: Annotated[str, typer.Option(help="The backend.")] = "http://127.0.0.1:8080",
    token: Annotated[str, typer.Option(envvar="MUSTER_TOKEN", help="A bearer token that may hire.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read and check the files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Load a company from CSV files through the REST API; running it again changes nothing."""
    from interfaces.cli.company import import_company

    run(lambda: import_company(folder, base_url, token, dry_run, as_json))


@tenant_app.command("create")
def tenant_create(
    code: Annotated[str, typer.Argument(help="Short name in lower case, for ever: acme")],
    name: Annotated[str, typer.Option(help="The company's name.")] = "",
    zone: Annotated[str, typer.Option(help="Home time zone (IANA).")] = "Asia/Shanghai",
    currency: Annotated[str, typer.Option(help="ISO 4217.")] = "CNY",
    owner: Annotated[str, typer.Option(help="The owner's login.")] = "owner",
    data: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """Create a tenant and its owner."""

    from interfaces.cli.operator import create_tenant

    async def work() -> None:
        async with identity_client(data) as identity:
            made = await create_tenant(identity, code, name or code, zone, currency, owner)
        if as_json:
            typer.echo(json.dumps(made))
        else:
            typer.echo(f"tenant {code} is {made['tenant_id']}")
            typer.echo(f"its owner signs in as {owner} with this password, shown only now: {made['owner_password']}")
            typer.echo(f"a token for its HR work: muster token --tenant {code} --role hr_admin")

    run(work)


@app.command()
def token(
    tenant: Annotated[str, typer.Option(help="The tenant's code.")],
    role: Annotated[str, typer.Option(help="owner, hr_admin, payroll_admin, payroll_approver, manager, employee, ...")],
    employee: Annotated[str, typer.Option(help="The id of the employee that it speaks for.")] = "",
    data: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """Print an access token (15 minutes) for one role."""

    from interfaces.cli.operator import issue_token

    async def work() -> None:
        async with identity_client(data) as identity:
            issued = await issue_token(identity, tenant, role, employee)
        typer.echo(json.dumps(issued) if as_json else issued["access_token"])

    run(work)


@events_app.command("tail")
def events_tail(
    tenant: Annotated[str, typer.Option(help="Only of the company with this code.")] = "",
    types: Annotated[str, typer.Option(help="Only these types, as /v1/events names them, separated by commas.")] = "",
    from_start: Annotated[bool, typer.Option("--from-start", help="From the oldest event that is kept.")] = False,
    follow: Annotated[bool, typer.Option(help="Go on as events are published, until Ctrl-C.")] = True,
    most: Annotated[int | None, typer.Option(help="End after so many.", min=1)] = None,
    data: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """Show events as they are published, of all companies or one; with --json one CloudEvent per line."""
    from interfaces.cli.operator import tail_events
    from interfaces.cli.parts import SERVICES

    chosen = [name for name in types.split(",") if name]

    async def work() -> None:
        async with data_services(data, SERVICES) as client_of:
            events = tail_events(
                client_of, SERVICES, tenant=tenant, types=chosen, from_start=from_start, follow=follow, most=most
            )
            async for event in events:
                if as_json:
                    typer.echo(json.dumps(event))
                    continue
                facts = " ".join(
                    f"{name}={value}" for name, value in event.get("data", {}).items() if value is not None
                )
                kind = event["type"].rpartition(".")[2]
                typer.echo(f"{event['time']} {kind} {event['subject']} tenant={event['tenantid']} {facts}")

    run(work)


@events_app.command("parked")
def events_parked(
    step: Annotated[str, typer.Option(help="Only what this step could not do: people.roster")] = "",
    data: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """List work of all companies that parked, with its reason and its mend."""

    from interfaces.cli.operator import parked_work
    from interfaces.cli.parts import SERVICES

    async def work() -> None:
        async with data_services(data, SERVICES) as client_of:
            found = [one async for one in parked_work(client_of, SERVICES, step)]
        if as_json:
            typer.echo(json.dumps(found))
            return
        for one in found:
            typer.echo(f"{one['id']}\n  {one['event']} of {one['subject']}, tenant {one['tenant_id']}")
            typer.echo(f"  {one['reason']} ({one['attempts']} tries, {one['parked_at']})")
        typer.echo(f"{len(found)} parked" + (": mend the cause, then muster events replay ID" if found else ""))

    run(work)


@events_app.command("replay")
def events_replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids from `muster events parked`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is parked (of --step).")] = False,
    step: Annotated[str, typer.Option(help="Only what this step could not do.")] = "",
    data: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """Try work that parked once more; what fails anew is parked again, with its reason."""

    from interfaces.cli.operator import parked_work, replay_work
    from interfaces.cli.parts import SERVICES

    if everything == bool(ids):
        fail("name the ids of what to replay, or --all", 2)

    async def work() -> None:
        async with data_services(data, SERVICES) as client_of:
            found = {one["id"]: one["tenant_id"] async for one in parked_work(client_of, SERVICES, step)}
            wanted = list(found) if everything else list(ids or ())
            unknown = [id for id in wanted if id not in found]
            if unknown:
                fail(f"not parked: {', '.join(unknown[:5])}; muster events parked lists what is")
            for id in wanted:
                await replay_work(client_of, id, found[id])
        typer.echo(json.dumps(wanted) if as_json else f"{len(wanted)} handed out again")

    run(work)


def in_words(work: "dict[str, Any]") -> str:
    """Long work in one line."""
    done = f"{work['done']} of {work['total']}" if work["total"] else f"{work['done']} done"
    holder = f", by {work['worker']}" if work["worker"] else ""
    why = f": {work['error']}" if work["error"] else ""
    return f"{work['id']} {work['state']}, {work['subject']}, {done}{holder}{why}"


@jobs_app.command("list")
def jobs_list(
    state: Annotated[str, typer.Option(help="Only runs in this state: WAITING, RUNNING, DONE or FAILED.")] = "",
    most: Annotated[int, typer.Option(help="So many of the newest runs per data service.", min=0, max=1000)] = 10,
    data: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """List jobs with their times and their newest runs, and long work: runs being calculated, consumers of events."""
    from interfaces.cli.operator import job_runs, jobs_of, long_work
    from interfaces.cli.parts import SERVICES

    if state and state not in JOB_STATES:
        fail(f"choose a state among {', '.join(JOB_STATES)}", 2)

    async def work() -> None:
        async with data_services(data, SERVICES) as client_of:
            jobs = await jobs_of(client_of, SERVICES)
            runs = await job_runs(client_of, SERVICES, state=state, most=most) if most else []
            works = await long_work(client_of, SERVICES, state=state)
        if as_json:
            typer.echo(json.dumps({"jobs": jobs, "runs": runs, "work": works}))
            return
        for job in jobs:
            failed = f", {job['failed']} FAILED" if job["failed"] else ""
            typer.echo(f"{job['id']}: {job['times']}, next {job['next_time']}, last {job['last_done_time']}{failed}")
        for run in runs:
            why = f": {run['error']}" if run["error"] else ""
            typer.echo(f"{run['id']} {run['state']}, {run['attempts']} tries{why}")
        for work in works:
            typer.echo(in_words(work))
        failures = sum(job["failed"] for job in jobs) + sum(work["state"] == "FAILED" for work in works)
        if failures:
            typer.echo(f"{failures} failed: mend the cause, then muster jobs retry ID (or --all)")

    run(work)


@jobs_app.command("retry")
def jobs_retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of runs or long work from `muster jobs list`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that failed.")] = False,
    data: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """Try what failed once more: runs of jobs, calculations that nobody is at, events that were set aside."""
    from interfaces.cli.operator import AT, WHICH, job_runs, long_work, retry_run, retry_work
    from interfaces.cli.parts import SERVICES

    if everything == bool(ids):
        fail("name the ids, or --all", 2)
    for id in ids or ():
        if id.partition(".")[0] not in SERVICES or not (AT in id or WHICH in id):
            fail(f"{id} is no id: muster jobs list shows service.job@time and service.kind:which", 2)

    async def work() -> None:
        async with data_services(data, SERVICES) as client_of:
            wanted = list(ids or ())
            if everything:
                failed = await job_runs(client_of, SERVICES, state="FAILED", most=1000)
                failed += await long_work(client_of, SERVICES, state="FAILED")
                wanted = [one["id"] for one in failed]
            for id in wanted:
                await (retry_run if AT in id else retry_work)(client_of, id)
        typer.echo(json.dumps(wanted) if as_json else f"{len(wanted)} handed out again")

    run(work)


@jobs_app.command("run")
def jobs_run(
    id: Annotated[str, typer.Argument(help="The job: payroll.tidying")],
    data: DataDir = DATA,
    as_json: AsJson = False,
) -> None:
    """Do a job now, beside its times; a process that serves takes it within seconds."""
    from interfaces.cli.operator import start_job
    from interfaces.cli.parts import SERVICES

    if id.partition(".")[0] not in SERVICES:
        fail(f"{id} is no job's id: muster jobs list shows them as service.job", 2)

    async def work() -> None:
        async with data_services(data, SERVICES) as client_of:
            made = await start_job(client_of, id)
        typer.echo(json.dumps({"run": made}) if as_json else f"{made} waits")

    run(work)


@app.command()
def migrate(
    parts: Annotated[list[str] | None, typer.Argument(help="Contexts; all when none is named.")] = None,
    data: DataDir = DATA,
) -> None:
    """Bring the databases' schemas to this program's version."""
    from interfaces.cli.parts import SERVICES
    from interfaces.cli.run import migrate_part

    settings = settings_for(data)
    for part in parts or SERVICES:
        if part not in SERVICES:
            fail(f"{part} has no database: choose among {', '.join(SERVICES)}", 2)

    async def work() -> None:
        for part in parts or SERVICES:
            await migrate_part(part, settings)
            typer.echo(f"{part}: schema is up to date")

    run(work)


@app.command()
def keys(data: DataDir = DATA) -> None:
    """Make the keyring and the keys of inner calls where they are missing (once per installation)."""
    from interfaces.cli.data_folder import prepare_secrets

    settings = settings_for(data)
    prepare_secrets(settings)
    for path in (settings.keyring, settings.assertion_key, settings.assertion_jwks):
        typer.echo(f"{path}")


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from application.app import openapi_document

    json.dump(openapi_document(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is missing or unsafe on this machine, and how to mend it."""
    from interfaces.cli.doctor import examine

    findings = examine()
    if as_json:
        typer.echo(json.dumps([finding.__dict__ for finding in findings]))
    for finding in findings if not as_json else ():
        mark = typer.style("ok  ", fg="green") if finding.fine else typer.style("mend", fg="red")
        typer.echo(f"{mark} {finding.subject}: {finding.message}")
    if not all(finding.fine for finding in findings if finding.needed):
        raise typer.Exit(1)


@app.command(name="verify-cases")
def verify_cases(
    files: Annotated[list[Path], typer.Argument(help="JSON files of worked cases.")],
    topic: Annotated[list[str] | None, typer.Option(help="Only these topics.")] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute published worked cases with the functions that payslips call; exact to the last minor unit."""
    from interfaces.cli.verify_cases import verify_cases_command

    verify_cases_command(files, topic, as_json)


def main() -> Any:
    """The console script."""
    asyncio.set_event_loop_policy(None)
    return app()


if __name__ == "__main__":
    main()
