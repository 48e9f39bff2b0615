"""Runs the attendance data service."""

from pathlib import Path

from muster.attendance.v1 import roster_pb2_grpc, time_catalog_pb2_grpc, timesheet_pb2_grpc

from chassis.bus.open import fast_path_of
from chassis.clock import SystemClock
from chassis.feed import EventFeed, Sequencer
from chassis.health import Readiness, clock_check
from chassis.lifecycle import Lifecycle, Listener, Running
from chassis.rpc import server
from chassis.safety import open_database
from chassis.settings import Settings
from contexts.attendance.container import Container
from contexts.attendance.repository.tables import metadata

NAME = "attendance"
VERSIONS = Path(__file__).parent / "repository" / "migrations" / "versions"
LOOPS_GRACE_S = 1.0
CLOCK_CHECK_S = 60.0


async def serve(settings: Settings, listener: Listener) -> Running:
    """Serve timesheets, the roster and the time catalog until stopped.

    Raises UnsafeDatabase, SchemaBehind, AddressTaken.
    """
    database = await open_database(settings, NAME, metadata, VERSIONS)
    fast_path = fast_path_of(settings)
    sequencer = Sequencer(database, NAME, fast_path)
    container = Container(database=database, committed=sequencer.wake)
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
                (timesheet_pb2_grpc.add_TimesheetServiceServicer_to_server, container.timesheets()),
                (roster_pb2_grpc.add_RosterServiceServicer_to_server, container.roster()),
                (time_catalog_pb2_grpc.add_TimeCatalogServiceServicer_to_server, container.time_catalog()),
                EventFeed(database).registration,
            ],
            name=NAME,
            settings=settings,
            readiness=readiness,
        )
    except BaseException:
        await close()
        raise
    loops.spawn("attendance sequencer", sequencer.run)
    return running.followed_by(close)
