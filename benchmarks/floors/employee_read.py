"""The floor of GET /v1/employees/{id}: FastAPI, grpc.aio and one SQL statement, with nothing else round them.

`python -m benchmarks.floors.employee_read whole|data|edge DATABASE_URL TENANT_HEX HTTP_PORT GRPC_PORT` serves both
ends in one process, or one of them. No token, no validation of messages, no deadline, no metrics, no error mapping.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import grpc
import sqlalchemy as sa
import uvicorn
import uvloop
from fastapi import FastAPI
from google.type.date_pb2 import Date
from muster.organization.v1 import employee_pb2, employee_pb2_grpc
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine

NOW = sa.text(
    "SELECT s.employee_number, s.spell_start, s.person, s.work, e.version, e.last_record_time"
    " FROM employee_segment s JOIN employee e ON e.tenant_id = s.tenant_id AND e.employee_id = s.employee_id"
    " WHERE s.tenant_id = :tenant AND s.employee_id = :employee AND s.valid_from <= :as_of AND s.valid_to > :as_of"
    " AND s.recorded_to = :still"
)
LAST_MICROSECOND = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Person(BaseModel):
    """The person."""

    legal_name: str
    preferred_name: str | None
    birth_date: date | None
    national_id: str | None
    email: str | None
    phone: str | None
    bank_accounts: list[dict[str, str]] | None


class Employment(BaseModel):
    """The spell."""

    hire_date: date
    end_date: date | None
    end_reason: str | None


class Assignment(BaseModel):
    """Where and for whom."""

    id: UUID
    legal_entity: str
    department: str
    position: str | None
    location: str
    manager_id: UUID | None
    work_schedule: str | None
    pay_group: str | None
    fte: str
    flsa_status: str | None
    grade: str | None


class Pay(BaseModel):
    """An amount per unit of work."""

    amount: str
    currency: str
    unit: str


class Allowance(Pay):
    """A regular payment beside the pay."""

    code: str


class Profile(BaseModel):
    """Statutory answers."""

    country: str
    values: dict[str, str]


class Employee(BaseModel):
    """The answer."""

    id: UUID
    employee_number: str
    status: str
    as_of: date
    version: int
    person: Person
    employment: Employment
    employment_type: str
    assignment: Assignment
    compensation: Pay
    allowances: list[Allowance]
    statutory_profiles: list[Profile]
    updated_at: datetime


class Reader:
    """Runs the one statement: in a thread on SQLite, on the loop on MariaDB."""

    def __init__(self, url: str, tenant: bytes) -> None:
        self._tenant = tenant
        self._sqlite = url.startswith("sqlite")
        if self._sqlite:
            self._engine = sa.create_engine(url)
            self._threads = ThreadPoolExecutor(4)
        else:
            self._async_engine = create_async_engine(url, isolation_level="AUTOCOMMIT")

    async def row(self, employee: bytes, as_of: date) -> Any:
        """The employee's row."""
        # As the drivers give them: an instant is microseconds on SQLite and a naive datetime on MariaDB.
        still: Any = LAST_MICROSECOND.replace(tzinfo=None)
        if self._sqlite:
            still = (LAST_MICROSECOND - EPOCH) // timedelta(microseconds=1)
        day: Any = as_of.isoformat() if self._sqlite else as_of
        values = {"tenant": self._tenant, "employee": employee, "as_of": day, "still": still}
        if self._sqlite:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, values)
        async with self._async_engine.connect() as connection:
            return (await connection.execute(NOW, values)).one()

    def _read(self, values: dict[str, Any]) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(NOW, values).one()

    def instant(self, stored: Any) -> datetime:
        """A stored instant."""
        return EPOCH + timedelta(microseconds=stored) if self._sqlite else stored.replace(tzinfo=UTC)

    def day(self, stored: Any) -> date:
        """A stored date."""
        return date.fromisoformat(stored) if self._sqlite else stored


class Servicer:
    """Reads the row and answers the message."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def register(self, server: grpc.aio.Server) -> None:
        """Serve the one method."""
        method = grpc.unary_unary_rpc_method_handler(
            self.get_employee,
            request_deserializer=employee_pb2.GetEmployeeRequest.FromString,
            response_serializer=employee_pb2.GetEmployeeResponse.SerializeToString,
        )
        service = employee_pb2.DESCRIPTOR.services_by_name["EmployeeService"].full_name
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"GetEmployee": method}),))

    async def get_employee(self, request: employee_pb2.GetEmployeeRequest, context: Any) -> Any:
        """One employee as of a date."""
        as_of = date(request.as_of.year, request.as_of.month, request.as_of.day)
        row = await self._reader.row(UUID(request.employee_id).bytes, as_of)
        start = self._reader.day(row.spell_start)
        employee = employee_pb2.Employee(
            employee_id=request.employee_id,
            employee_number=row.employee_number,
            status=employee_pb2.EMPLOYEE_STATUS_ACTIVE,
            etag=str(row.version),
            as_of=request.as_of,
            employment=employee_pb2.Employment(hire_date=Date(year=start.year, month=start.month, day=start.day)),
        )
        employee.update_time.FromDatetime(self._reader.instant(row.last_record_time))
        employee.person.ParseFromString(row.person)
        employee.work.ParseFromString(row.work)
        return employee_pb2.GetEmployeeResponse(employee=employee)


def edge(stub: Any) -> FastAPI:
    """The application."""
    app = FastAPI()
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    as_of = Date(year=today.year, month=today.month, day=today.day)

    @app.get("/v1/employees/{employee_id}")
    async def get_employee(employee_id: UUID) -> Employee:
        request = employee_pb2.GetEmployeeRequest(employee_id=str(employee_id), as_of=as_of)
        return answer((await stub.GetEmployee(request)).employee)

    return app


def answer(employee: employee_pb2.Employee) -> Employee:
    """The message as the answer's model."""
    work, person, assignment = employee.work, employee.person, employee.work.assignment
    return Employee(
        id=UUID(employee.employee_id),
        employee_number=employee.employee_number,
        status=employee_pb2.EmployeeStatus.Name(employee.status).removeprefix("EMPLOYEE_STATUS_"),
        as_of=_date(employee.as_of),
        version=int(employee.etag),
        person=Person(
            legal_name=person.legal_name,
            preferred_name=person.preferred_name or None,
            birth_date=_date(person.birth_date),
            national_id=person.national_id or None,
            email=person.email or None,
            phone=person.phone or None,
            bank_accounts=None,
        ),
        employment=Employment(hire_date=_date(employee.employment.hire_date), end_date=None, end_reason=None),
        employment_type=employee_pb2.EmploymentType.Name(assignment.employment_type).removeprefix("EMPLOYMENT_TYPE_"),
        assignment=Assignment(
            id=UUID(assignment.assignment_id),
            legal_entity=assignment.legal_entity,
            department=assignment.department,
            position=assignment.position or None,
            location=assignment.location,
            manager_id=UUID(assignment.manager_id) if assignment.manager_id else None,
            work_schedule=assignment.work_schedule or None,
            pay_group=assignment.pay_group or None,
            fte=assignment.fte,
            flsa_status=None,
            grade=assignment.grade or None,
        ),
        compensation=Pay(
            amount=work.compensation.amount,
            currency=work.compensation.currency,
            unit=employee_pb2.PayUnit.Name(work.compensation.unit).removeprefix("PAY_UNIT_"),
        ),
        allowances=[
            Allowance(
                amount=one.amount,
                currency=one.currency,
                unit=employee_pb2.PayUnit.Name(one.unit).removeprefix("PAY_UNIT_"),
                code=one.code,
            )
            for one in work.allowances
        ],
        statutory_profiles=[Profile(country=one.country, values=dict(one.values)) for one in work.statutory_profiles],
        updated_at=employee.update_time.ToDatetime(tzinfo=UTC),
    )


def _date(day: Date) -> date:
    return date(day.year, day.month, day.day)


async def serve(parts: str, url: str, tenant: str, http_port: int, grpc_port: int) -> None:
    """Serve until killed."""
    address = f"127.0.0.1:{grpc_port}"
    server = grpc.aio.server()
    if parts != "edge":
        Servicer(Reader(url, bytes.fromhex(tenant))).register(server)
        server.add_insecure_port(address)
        await server.start()
    if parts == "data":
        await server.wait_for_termination()
    app = edge(employee_pb2_grpc.EmployeeServiceStub(grpc.aio.insecure_channel(address)))
    config = uvicorn.Config(app, port=http_port, http="httptools", loop="none", log_config=None, access_log=False)
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
