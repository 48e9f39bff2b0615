"""Runs the payroll data service: the catalog, runs with their payslips, and pay inputs."""

from pathlib import Path

from muster.payroll.v1 import payroll_catalog_pb2_grpc, payroll_run_pb2_grpc

from chassis.jobs.job import Job
from chassis.jobs.times import Every
from chassis.service import DataService, Opened, Parts
from contexts.payroll.adapters.reminders import TIDY_MINUTES
from contexts.payroll.container import Container
from contexts.payroll.repository.tables import metadata


async def build(opened: Opened) -> Parts:
    """Wire the context."""
    return parts_of(Container(settings=opened.settings, database=opened.database, committed=opened.committed))


def parts_of(container: Container) -> Parts:
    """What a wired context runs."""
    calculator, reminders = container.calculator(), container.reminders()

    async def close() -> None:
        calculator.close()

    return Parts(
        [
            (payroll_catalog_pb2_grpc.add_PayrollCatalogServiceServicer_to_server, container.catalog_service()),
            (payroll_run_pb2_grpc.add_PayrollRunServiceServicer_to_server, container.run_service()),
        ],
        loops={"reminders": reminders.run},
        close=close,
        jobs=[Job("tidying", Every(minutes=TIDY_MINUTES), reminders.tidy)],
        long_work=[container.long_work()],
    )


SERVICE = DataService("payroll", metadata, Path(__file__).parent / "repository" / "migrations" / "versions", build)
serve = SERVICE.serve
