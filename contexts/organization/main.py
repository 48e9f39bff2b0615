"""Runs the organization data service."""

from pathlib import Path

from muster.organization.v1 import employee_pb2_grpc, org_chart_pb2_grpc

from chassis.bus.open import fast_path_of
from chassis.clock import SystemClock
from chassis.crypto import FieldCipher
from chassis.feed import EventFeed, Sequencer
from chassis.health import Readiness, clock_check
from chassis.keyring import FileKeyring
from chassis.lifecycle import Lifecycle, Listener, Running
from chassis.rpc import server
from chassis.safety import open_database
from chassis.settings import Settings
from contexts.organization.container import Container
from contexts.organization.repository.tables import metadata

NAME = "organization"
VERSIONS = Path(__file__).parent / "repository" / "migrations" / "versions"
LOOPS_GRACE_S = 1.0
CLOCK_CHECK_S = 60.0


async def serve(settings: Settings, listener: Listener) -> Running:
    """Serve employees and the org chart until stopped.

    Raises UnsafeDatabase, SchemaBehind, KeyringProblem, AddressTaken.
    """
    # Only the embedded form makes its keyring: replicas with a fresh one each could not read each other's fields.
    embedded = settings.database_url(NAME).startswith("sqlite")
    keyring = (FileKeyring.open_or_create if embedded else FileKeyring.open)(settings.keyring)
    database = await open_database(settings, NAME, metadata, VERSIONS)
    fast_path = fast_path_of(settings)
    sequencer = Sequencer(database, NAME, fast_path)
    container = Container(
        database=database,
        cipher=FieldCipher(keyring),
        settle_margin_s=float(settings.settle_margin_s(NAME)),
        committed=sequencer.wake,
    )
    readiness = Readiness()
    readiness.add("clock", clock_check(SystemClock(), database.now), every_s=CLOCK_CHECK_S)
    loops = Lifecycle(grace_s=LOOPS_GRACE_S)

    async def close() -> None:
        await loops.drain()
        await fast_path.close()
        await database.close()

    try:
        running = await server.start(
            listener,
            [
                (employee_pb2_grpc.add_EmployeeServiceServicer_to_server, container.employees()),
                (org_chart_pb2_grpc.add_OrgChartServiceServicer_to_server, container.org_charts()),
                EventFeed(database).registration,
            ],
            name=NAME,
            settings=settings,
            readiness=readiness,
        )
    except BaseException:
        await close()
        raise
    loops.spawn("organization sequencer", sequencer.run)
    return running.followed_by(close)
