"""Runs the attendance data service: timesheets, the roster and the time catalog."""

from pathlib import Path

from muster.attendance.v1 import board_pb2_grpc, roster_pb2_grpc, time_catalog_pb2_grpc, timesheet_pb2_grpc

from chassis.service import DataService, Opened, Parts
from contexts.attendance.container import Container
from contexts.attendance.repository.tables import metadata


async def build(opened: Opened) -> Parts:
    """Wire the context."""
    container = Container(database=opened.database, committed=opened.committed)
    return Parts(
        [
            (timesheet_pb2_grpc.add_TimesheetServiceServicer_to_server, container.timesheets()),
            (board_pb2_grpc.add_BoardServiceServicer_to_server, container.boards()),
            (roster_pb2_grpc.add_RosterServiceServicer_to_server, container.roster()),
            (time_catalog_pb2_grpc.add_TimeCatalogServiceServicer_to_server, container.time_catalog()),
        ]
    )


SERVICE = DataService("attendance", metadata, Path(__file__).parent / "repository" / "migrations" / "versions", build)
serve = SERVICE.serve
