"""Runs the organization data service."""

from pathlib import Path

from muster.organization.v1 import employee_pb2_grpc, org_chart_pb2_grpc

from chassis.crypto import FieldCipher
from chassis.keyring import FileKeyring
from chassis.lifecycle import Listener, Running
from chassis.rpc import server
from chassis.safety import open_database
from chassis.settings import Settings
from contexts.organization.container import Container
from contexts.organization.repository.tables import metadata

NAME = "organization"
VERSIONS = Path(__file__).parent / "repository" / "migrations" / "versions"


async def serve(settings: Settings, listener: Listener) -> Running:
    """Serve employees and the org chart until stopped.

    Raises UnsafeDatabase, SchemaBehind, KeyringProblem, AddressTaken.
    """
    database = await open_database(settings, NAME, metadata, VERSIONS)
    try:
        # Only the embedded form makes its keyring: replicas with a fresh one each could not read each other's fields.
        keyring = (FileKeyring.open_or_create if database.sqlite else FileKeyring.open)(settings.keyring)
        container = Container(
            database=database, cipher=FieldCipher(keyring), settle_margin_s=float(settings.settle_margin_s(NAME))
        )
        running = await server.start(
            listener,
            [
                (employee_pb2_grpc.add_EmployeeServiceServicer_to_server, container.employees()),
                (org_chart_pb2_grpc.add_OrgChartServiceServicer_to_server, container.org_charts()),
            ],
            name=NAME,
            settings=settings,
        )
    except BaseException:
        await database.close()
        raise
    return running.followed_by(database.close)
