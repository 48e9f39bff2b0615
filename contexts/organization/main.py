"""Runs the organization data service: employees and the org chart."""

from pathlib import Path

from muster.organization.v1 import employee_pb2_grpc, org_chart_pb2_grpc

from chassis.service import DataService, Opened, Parts, open_cipher
from contexts.organization.container import Container
from contexts.organization.repository.tables import metadata


async def build(opened: Opened) -> Parts:
    """Wire the context."""
    container = Container(
        database=opened.database,
        cipher=open_cipher(opened.settings, SERVICE.name),
        settle_margin_s=float(opened.settings.settle_margin_s(SERVICE.name)),
        committed=opened.committed,
    )
    return Parts(
        [
            (employee_pb2_grpc.add_EmployeeServiceServicer_to_server, container.employees()),
            (org_chart_pb2_grpc.add_OrgChartServiceServicer_to_server, container.org_charts()),
        ]
    )


SERVICE = DataService("organization", metadata, Path(__file__).parent / "repository" / "migrations" / "versions", build)
serve = SERVICE.serve
