"""The organization service over gRPC, on SQLite and MariaDB."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.organization.v1 import employee_pb2 as pb
from muster.organization.v1 import employee_pb2_grpc, events_pb2, org_chart_pb2, org_chart_pb2_grpc
from muster.type.v1.money_pb2 import Money

from chassis import migrations
from chassis.assertion import Signer, prepare_keys
from chassis.database import Database, SystemScope
from chassis.keyring import FileKeyring
from chassis.lifecycle import Listener
from chassis.principal import Principal
from chassis.rpc.channels import Channels, Client
from chassis.rpc.error_map import RemoteError
from chassis.settings import Settings
from chassis.tables import outbox
from contexts.organization.main import SERVICE, serve
from contexts.organization.repository.tables import metadata
from kernel.ids import TenantId

ACME, OTHER = TenantId(uuid4()), TenantId(uuid4())
CANARIES = ("310101199001011234", "li.wei@example.com", "+86 138 0000 0000", "6222020000001")


def day(text: str) -> Date:
    """A civil date on the wire."""
    found = date.fromisoformat(text)
    return Date(year=found.year, month=found.month, day=found.day)


@dataclass(frozen=True, slots=True)
class Organization:
    """A running service and its client."""

    client: Client
    settings: Settings
    employees: Any
    charts: Any

    async def __call__(self, method: Any, request: Any, tenant_id: TenantId = ACME) -> Any:
        """A call by an administrator."""
        request_id = None
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            request.request_id = request.request_id or str(uuid4())
            request_id = UUID(request.request_id)
        principal = Principal(tenant_id, str(UUID(int=1)), frozenset({"hr_admin"}))
        return await self.client.call(method, request, principal=principal, request_id=request_id)

    async def publish_acme(self, tenant_id: TenantId = ACME) -> None:
        entries = [
            org_chart_pb2.OrgChartEntry(
                code="ACME-CN", name="Acme", legal_entity=org_chart_pb2.LegalEntity(country="CN", currency="CNY")
            ),
            org_chart_pb2.OrgChartEntry(
                code="SHANGHAI",
                name="Shanghai",
                location=org_chart_pb2.Location(time_zone="Asia/Shanghai", country="CN"),
            ),
            org_chart_pb2.OrgChartEntry(code="ENG", name="Engineering", department=org_chart_pb2.Department()),
            org_chart_pb2.OrgChartEntry(code="OPS", name="Operations", department=org_chart_pb2.Department()),
        ]
        request = org_chart_pb2.PublishOrgChartRequest(
            changes=[org_chart_pb2.OrgChartChange(effective_date=day("2020-01-01"), entry=each) for each in entries]
        )
        await self(self.charts.PublishOrgChart, request, tenant_id)

    async def hire(self, number: str, tenant_id: TenantId = ACME, **changes: Any) -> Any:
        request = pb.HireEmployeeRequest(hire=a_hire(number, **changes))
        return (await self(self.employees.HireEmployee, request, tenant_id)).employee

    async def get(self, id: str, view: Any = pb.EMPLOYEE_VIEW_BASIC, as_of: str = "2026-11-23") -> Any:
        request = pb.GetEmployeeRequest(employee_id=id, as_of=day(as_of), view=view)
        return (await self(self.employees.GetEmployee, request)).employee

    async def shown(self, answer: Any) -> Any:
        """What a reader who may see everything is shown as of the day that the answer is of."""
        as_of = answer.as_of
        return await self.get(
            answer.employee_id, pb.EMPLOYEE_VIEW_FULL, f"{as_of.year:04}-{as_of.month:02}-{as_of.day:02}"
        )

    async def rows(self, table: sa.Table) -> Any:
        database = Database(self.settings.database_url(SERVICE.name), metadata)
        try:
            async with database.system(SystemScope("a test looks")) as tx:
                return await tx.rows(sa.select(table))
        finally:
            await database.close()


def a_hire(number: str, **changes: Any) -> pb.Hire:
    """Somebody to hire."""
    hire = pb.Hire(
        employee_number=number,
        person=pb.Person(
            legal_name="Li Wei",
            birth_date=day("1990-05-01"),
            national_id=CANARIES[0],
            email=CANARIES[1],
            phone=CANARIES[2],
            bank_accounts=[
                pb.BankAccount(holder_name="Li Wei", account_number=CANARIES[3], bank_name="ICBC", share_percent="100")
            ],
        ),
        hire_date=day("2026-01-05"),
        assignment=pb.Assignment(
            legal_entity="ACME-CN",
            department="ENG",
            location="SHANGHAI",
            work_schedule="STANDARD-5X8",
            pay_group="CN-MONTHLY",
            fte="1",
        ),
        compensation=pb.Compensation(amount="20000", currency="CNY", unit=pb.PAY_UNIT_MONTH),
        statutory_profiles=[
            pb.StatutoryProfile(country="CN", values={"social_insurance_city": "SHANGHAI", "housing_fund_rate": "0.07"})
        ],
    )
    for name, value in changes.items():
        if name in pb.Assignment.DESCRIPTOR.fields_by_name:
            setattr(hire.assignment, name, value)
        else:
            getattr(hire, name).CopyFrom(value)
    return hire


def a_raise(id: str, amount: str, effective_date: str = "2026-11-16") -> pb.ChangeCompensationRequest:
    """A raise."""
    return pb.ChangeCompensationRequest(
        employee_id=id,
        effective_date=day(effective_date),
        compensation=pb.Compensation(amount=amount, currency="CNY", unit=pb.PAY_UNIT_MONTH),
    )


def november(**more: Any) -> pb.ListPaySliceRequest:
    """The slice of November."""
    return pb.ListPaySliceRequest(
        pay_group="CN-MONTHLY", period_start=day("2026-11-01"), period_end=day("2026-12-01"), **more
    )


async def refused(work: Any) -> tuple[str, list[str]]:
    """The reason of a refusal and the fields at fault."""
    with pytest.raises(RemoteError) as error:
        await work
    return error.value.reason, [violation.field for violation in error.value.fields]


@pytest.fixture(params=["sqlite", "mariadb"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """A place to live in, migrated."""
    made = Settings.embedded(tmp_path / "data")
    made.data_dir.mkdir()
    prepare_keys(made)
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb").create_database(f"organization_{uuid4().hex[:12]}")
        made = Settings.embedded(made.data_dir, database_urls={SERVICE.name: url})
        FileKeyring.open_or_create(made.keyring)
        database = Database(url, metadata)
        await migrations.upgrade(database, SERVICE.name, SERVICE.versions)
        await database.close()
    return made


@pytest.fixture
async def organization(settings: Settings) -> AsyncIterator[Organization]:
    """A running service with the chart of acme in two tenants."""
    running = await serve(settings, Listener())
    channels = Channels(settings, Signer.open(settings), {SERVICE.name: running.address})
    client = channels.to(SERVICE.name)
    made = Organization(
        client,
        settings,
        client.stub(employee_pb2_grpc.EmployeeServiceStub),
        client.stub(org_chart_pb2_grpc.OrgChartServiceStub),
    )
    await made.publish_acme()
    await made.publish_acme(OTHER)
    yield made
    await channels.close()
    await running.stop(1.0)


async def test_the_migrated_schema_is_that_of_the_tables(settings: Settings) -> None:
    database = Database(settings.database_url(SERVICE.name), metadata)
    await migrations.upgrade(database, SERVICE.name, SERVICE.versions)

    assert await migrations.differences(database, SERVICE.name) == []
    await database.close()


async def test_a_hire_is_read_back_and_opens_encrypted_fields_by_view(organization: Organization) -> None:
    hired = await organization.hire("E1")

    basic = await organization.get(hired.employee_id)
    contact = await organization.get(hired.employee_id, pb.EMPLOYEE_VIEW_CONTACT)
    full = await organization.get(hired.employee_id, pb.EMPLOYEE_VIEW_FULL)

    assert hired.status == pb.EMPLOYEE_STATUS_ACTIVE
    assert (basic.etag, basic.work.compensation.amount, basic.work.assignment.fte) == ("1", "20000.00", "1")
    assert basic.work == hired.work
    assert (basic.person.national_id, basic.person.email) == ("", "")
    assert (contact.person.national_id, contact.person.email) == ("", CANARIES[1])
    assert (full.person.national_id, full.person.phone) == (CANARIES[0], CANARIES[2])
    assert full.person.bank_accounts[0].account_number == CANARIES[3]
    assert dict(basic.work.statutory_profiles[0].values) == {
        "social_insurance_city": "SHANGHAI",
        "housing_fund_rate": "0.07",
    }


async def test_a_command_answers_what_a_full_read_shows(organization: Organization) -> None:
    employees = organization.employees
    hired = await organization.hire("E1")
    id, person_since = hired.employee_id, day("2026-08-01")
    requests: list[tuple[Any, Any]] = [
        (
            employees.TransferEmployee,
            pb.TransferEmployeeRequest(
                effective_date=day("2026-07-01"), assignment=pb.AssignmentChange(department="OPS")
            ),
        ),
        (employees.ChangeCompensation, a_raise(id, "21000", "2026-07-15")),
        (
            employees.ChangeStatutoryProfile,
            pb.ChangeStatutoryProfileRequest(
                effective_date=person_since,
                statutory_profile=pb.StatutoryProfile(country="CN", values={"housing_fund_rate": "0.05"}),
            ),
        ),
        (
            employees.UpdatePerson,
            pb.UpdatePersonRequest(
                effective_date=person_since, person=pb.PersonChange(email="wei@example.com", phone="")
            ),
        ),
        (
            employees.ChangeBankAccounts,
            pb.ChangeBankAccountsRequest(
                effective_date=day("2026-08-02"),
                bank_accounts=[pb.BankAccount(holder_name="Li Wei", account_number="6222-1", share_percent="100")],
            ),
        ),
        (
            employees.TerminateEmployee,
            pb.TerminateEmployeeRequest(end_date=day("2026-11-20"), end_reason=pb.END_REASON_RESIGNATION),
        ),
        (
            employees.RehireEmployee,
            pb.RehireEmployeeRequest(hire_date=day("2026-12-01"), assignment=a_hire("").assignment),
        ),
    ]

    pairs = [(hired, await organization.shown(hired))]
    for method, request in requests:
        request.employee_id = id
        answer = (await organization(method, request)).employee
        pairs.append((answer, await organization.shown(answer)))
    history = await organization(employees.GetEmployeeHistory, pb.GetEmployeeHistoryRequest(employee_id=id))
    for method, request in (
        (employees.CancelEmployeeChange, pb.CancelEmployeeChangeRequest(change_id=history.changes[-1].change_id)),
        (
            employees.CorrectEmployee,
            pb.CorrectEmployeeRequest(
                change_id=history.changes[4].change_id,
                correction=pb.Correction(person=pb.PersonChange(email="li@example.com")),
            ),
        ),
    ):
        request.employee_id = id
        answer = (await organization(method, request)).employee
        pairs.append((answer, await organization.shown(answer)))

    for answered, read in pairs:
        assert answered == read
    assert hired.person.national_id == CANARIES[0]
    assert pairs[-1][0].person.email == "li@example.com"


async def test_the_same_request_hires_once_and_gets_one_answer(organization: Organization) -> None:
    request = pb.HireEmployeeRequest(request_id=str(uuid4()), hire=a_hire("E1"))

    answers = [await organization(organization.employees.HireEmployee, request) for _ in range(3)]

    assert answers == [answers[0]] * 3
    assert await refused(organization.hire("E1")) == ("EMPLOYEE_NUMBER_TAKEN", ["employee_number"])


async def test_every_verb_works_over_the_wire(organization: Organization) -> None:
    id = (await organization.hire("E1")).employee_id
    boss = (await organization.hire("E0")).employee_id
    employees = organization.employees

    transferred = await organization(
        employees.TransferEmployee,
        pb.TransferEmployeeRequest(
            employee_id=id,
            etag="1",
            effective_date=day("2026-07-01"),
            assignment=pb.AssignmentChange(department="OPS", manager_id=boss, fte="0.50"),
            compensation=pb.Compensation(amount="12000", currency="CNY", unit=pb.PAY_UNIT_MONTH),
            reason="REORGANISATION",
        ),
    )
    await organization(
        employees.ChangeCompensation,
        pb.ChangeCompensationRequest(
            employee_id=id,
            effective_date=day("2026-08-01"),
            allowances=[
                pb.AllowanceChange(
                    code="MEAL", amount=pb.Compensation(amount="500", currency="CNY", unit=pb.PAY_UNIT_MONTH)
                )
            ],
        ),
    )
    await organization(
        employees.ChangeStatutoryProfile,
        pb.ChangeStatutoryProfileRequest(
            employee_id=id,
            effective_date=day("2026-08-01"),
            statutory_profile=pb.StatutoryProfile(country="CN", values={"housing_fund_rate": "0.05"}),
        ),
    )
    await organization(
        employees.UpdatePerson,
        pb.UpdatePersonRequest(
            employee_id=id, effective_date=day("2026-08-01"), person=pb.PersonChange(email="wei@example.com", phone="")
        ),
    )
    await organization(
        employees.ChangeBankAccounts,
        pb.ChangeBankAccountsRequest(
            employee_id=id,
            effective_date=day("2026-08-01"),
            bank_accounts=[
                pb.BankAccount(
                    holder_name="Li Wei", account_number="6222-1", amount=Money(currency="CNY", minor_units=5)
                ),
                pb.BankAccount(holder_name="Li Wei", account_number="6222-2", share_percent="40.0"),
                pb.BankAccount(holder_name="Zhang San", account_number="6222-3"),
            ],
        ),
    )
    now = await organization.get(id, pb.EMPLOYEE_VIEW_FULL)
    await organization(
        employees.TerminateEmployee,
        pb.TerminateEmployeeRequest(employee_id=id, end_date=day("2026-11-20"), end_reason=pb.END_REASON_RESIGNATION),
    )
    gone = await organization.get(id)
    rehired = await organization(
        employees.RehireEmployee,
        pb.RehireEmployeeRequest(
            employee_id=id, hire_date=day("2026-12-01"), assignment=a_hire("").assignment, etag=gone.etag
        ),
    )
    history = await organization(employees.GetEmployeeHistory, pb.GetEmployeeHistoryRequest(employee_id=id))
    await organization(
        employees.CancelEmployeeChange,
        pb.CancelEmployeeChangeRequest(employee_id=id, change_id=history.changes[-1].change_id),
    )
    corrected = await organization(
        employees.CorrectEmployee,
        pb.CorrectEmployeeRequest(
            employee_id=id,
            change_id=history.changes[6].change_id,
            correction=pb.Correction(effective_date=day("2026-11-26"), end_reason=pb.END_REASON_RETIREMENT),
        ),
    )

    assert transferred.employee.work.assignment.department == "OPS"
    assert (now.work.assignment.manager_id, now.work.assignment.fte) == (boss, "0.5")
    assert now.work.compensation.amount == "12000.00"
    assert now.work.allowances[0].code == "MEAL"
    assert now.work.statutory_profiles[0].values["housing_fund_rate"] == "0.05"
    assert now.work.statutory_profiles[0].values["social_insurance_city"] == "SHANGHAI"
    assert (now.person.email, now.person.phone) == ("wei@example.com", "")
    assert [(account.amount.minor_units, account.share_percent) for account in now.person.bank_accounts] == [
        (5, ""),
        (0, "40"),
        (0, ""),
    ]
    assert (gone.status, gone.employment.end_date) == (pb.EMPLOYEE_STATUS_TERMINATED, day("2026-11-20"))
    assert rehired.employee.employment.hire_date == day("2026-12-01")
    assert [each.kind for each in history.changes] == [
        pb.CHANGE_KIND_HIRE,
        pb.CHANGE_KIND_TRANSFER,
        pb.CHANGE_KIND_COMPENSATION,
        pb.CHANGE_KIND_STATUTORY_PROFILE,
        pb.CHANGE_KIND_PERSON,
        pb.CHANGE_KIND_BANK_ACCOUNTS,
        pb.CHANGE_KIND_TERMINATION,
        pb.CHANGE_KIND_REHIRE,
    ]
    assert history.changes[0].fields["national_id"] == "***"
    assert history.changes[4].fields["phone"] == ""
    last = corrected.employee.employment
    assert (last.end_date, last.end_reason) == (day("2026-11-25"), pb.END_REASON_RETIREMENT)


async def test_a_promotion_and_a_change_of_the_manager_are_named_so_in_the_history(
    organization: Organization,
) -> None:
    id = (await organization.hire("E1")).employee_id
    boss = (await organization.hire("E0")).employee_id
    employees = organization.employees

    promoted = await organization(
        employees.PromoteEmployee,
        pb.PromoteEmployeeRequest(
            employee_id=id,
            etag="1",
            effective_date=day("2026-07-01"),
            assignment=pb.AssignmentChange(grade="P7"),
            compensation=pb.Compensation(amount="30000", currency="CNY", unit=pb.PAY_UNIT_MONTH),
        ),
    )
    moved, alone = [
        await organization(
            employees.ChangeManager,
            pb.ChangeManagerRequest(employee_id=id, effective_date=day("2026-07-01"), manager_id=manager),
        )
        for manager in (boss, "")
    ]

    history = await organization(employees.GetEmployeeHistory, pb.GetEmployeeHistoryRequest(employee_id=id))
    assert [each.kind for each in history.changes] == [
        pb.CHANGE_KIND_HIRE,
        pb.CHANGE_KIND_PROMOTION,
        pb.CHANGE_KIND_MANAGER,
        pb.CHANGE_KIND_MANAGER,
    ]
    assert promoted.employee.work.compensation.amount == "30000.00"
    assert (promoted.employee.work.assignment.grade, moved.employee.work.assignment.grade) == ("P7", "P7")
    assert [each.employee.work.assignment.manager_id for each in (moved, alone)] == [boss, ""]
    nobody = pb.ChangeManagerRequest(employee_id=id, effective_date=day("2026-07-01"), manager_id=str(uuid4()))
    assert await refused(organization(employees.ChangeManager, nobody)) == ("MANAGER_NOT_FOUND", ["manager_id"])


async def test_a_batch_hires_many_and_tells_each_result(organization: Organization) -> None:
    hires = [a_hire(f"E{index}") for index in range(40)]
    hires[7].employee_number = "E6"
    hires[8].hire_date.day = 32
    hires[9].assignment.department = "NOWHERE"
    request = pb.BatchHireEmployeesRequest(hires=hires)

    answer = await organization(organization.employees.BatchHireEmployees, request)

    refusals = {index: result.refusal.reason for index, result in enumerate(answer.results) if result.refusal.reason}
    assert refusals == {7: "EMPLOYEE_NUMBER_TAKEN", 8: "DATE_OUT_OF_RANGE", 9: "ENTRY_NOT_VALID"}
    listed = await organization(
        organization.employees.ListEmployees, pb.ListEmployeesRequest(as_of=day("2026-11-23"), page_size=100)
    )
    assert len(listed.employees) == 37
    assert listed.employees[0].employee_id == answer.results[0].employee_id


async def test_batches_that_race_for_the_same_numbers_hire_each_once(organization: Organization) -> None:
    requests = [
        pb.BatchHireEmployeesRequest(hires=[a_hire(f"E{number}") for number in range(start, start + 30)])
        for start in (0, 10, 20)
    ]

    answers = await asyncio.gather(
        *(organization(organization.employees.BatchHireEmployees, request) for request in requests)
    )

    results = [result for answer in answers for result in answer.results]
    assert len([result for result in results if result.employee_id]) == 50
    assert {result.refusal.reason for result in results} == {"", "EMPLOYEE_NUMBER_TAKEN"}


async def test_lists_are_paged_and_a_token_serves_its_own_list_only(organization: Organization) -> None:
    await organization(
        organization.employees.BatchHireEmployees,
        pb.BatchHireEmployeesRequest(hires=[a_hire(f"E{index}") for index in range(5)]),
    )
    request = pb.ListEmployeesRequest(as_of=day("2026-11-23"), page_size=2)
    numbers: list[str] = []

    while True:
        page = await organization(organization.employees.ListEmployees, request)
        numbers += [each.employee_number for each in page.employees]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert numbers == [f"E{index}" for index in range(5)]
    request.q = "li"
    assert await refused(organization(organization.employees.ListEmployees, request)) == (
        "INVALID_VALUE",
        ["page_token"],
    )


async def test_a_pay_slice_is_paged_and_holds_nothing_personal(organization: Organization) -> None:
    await organization(
        organization.employees.BatchHireEmployees,
        pb.BatchHireEmployeesRequest(hires=[a_hire(f"E{index}") for index in range(5)]),
    )
    seen: list[str] = []
    after = ""

    for _ in range(5):
        request = november(limit=2, after_employee_id=after)
        page = await organization(organization.employees.ListPaySlice, request)
        seen += [each.employee_id for each in page.employees]
        after = page.next_after_employee_id
        assert all(canary.encode() not in page.SerializeToString() for canary in (*CANARIES, "Li Wei"))
        if not after:
            break

    assert len(seen) == 5
    assert seen == sorted(seen)


async def test_a_repeatable_slice_waits_until_its_facts_are_settled(organization: Organization) -> None:
    await organization.hire("E1")
    frontier = await organization(organization.employees.GetFrontier, pb.GetFrontierRequest(pay_group="CN-MONTHLY"))
    young = Timestamp()
    young.FromDatetime(frontier.database_time.ToDatetime(tzinfo=UTC) + timedelta(seconds=30))

    settled = await organization(organization.employees.ListPaySlice, november(known_at=frontier.settled_time))

    assert await refused(organization(organization.employees.ListPaySlice, november(known_at=young))) == (
        "NOT_SETTLED",
        ["known_at"],
    )
    if organization.settings.settle_margin_s(SERVICE.name) == 0:
        assert len(settled.employees) == 1


async def test_changes_after_a_position_or_an_instant_are_named(organization: Organization) -> None:
    steady, touched = await organization.hire("E1"), await organization.hire("E2")
    employees = organization.employees
    frontier = await _sequenced(organization, 4)
    since = frontier.latest_record_time
    await organization(employees.ChangeCompensation, a_raise(touched.employee_id, "25000"))
    await organization(employees.ChangeCompensation, a_raise(steady.employee_id, "25000", "2026-12-01"))
    period: dict[str, Any] = {"period_start": day("2026-11-01"), "period_end": day("2026-12-01")}

    by_position = await organization(
        employees.ListChangedSince,
        pb.ListChangedSinceRequest(pay_group="CN-MONTHLY", position=frontier.position, **period),
    )
    by_instant = await organization(
        employees.ListChangedSince, pb.ListChangedSinceRequest(pay_group="CN-MONTHLY", known_at=since, **period)
    )

    assert frontier.position == 4
    assert by_position == by_instant
    assert [(each.employee_id, list(each.kinds)) for each in by_position.employees] == [
        (touched.employee_id, [pb.CHANGE_KIND_COMPENSATION])
    ]


async def _sequenced(organization: Organization, position: int) -> Any:
    async with asyncio.timeout(5):
        while True:
            frontier = await organization(
                organization.employees.GetFrontier, pb.GetFrontierRequest(pay_group="CN-MONTHLY")
            )
            if frontier.position >= position:
                return frontier
            await asyncio.sleep(0.02)


async def test_another_tenant_is_answered_like_one_who_asks_for_nobody(organization: Organization) -> None:
    id = (await organization.hire("E1")).employee_id
    employees = organization.employees
    get = pb.GetEmployeeRequest(employee_id=id, as_of=day("2026-11-23"))
    nobody = pb.GetEmployeeRequest(employee_id=str(uuid4()), as_of=day("2026-11-23"))

    reasons = [
        await refused(organization(employees.GetEmployee, get, OTHER)),
        await refused(organization(employees.GetEmployee, nobody, OTHER)),
        await refused(organization(employees.ChangeCompensation, a_raise(id, "1"), OTHER)),
        await refused(organization(employees.GetEmployeeHistory, pb.GetEmployeeHistoryRequest(employee_id=id), OTHER)),
    ]
    batch = await organization(employees.BatchGetEmployees, pb.BatchGetEmployeesRequest(employee_ids=[id]), OTHER)
    roster = await organization(employees.BatchGetRosterFacts, pb.BatchGetRosterFactsRequest(employee_ids=[id]), OTHER)

    assert {reason for reason, _ in reasons} == {"EMPLOYEE_NOT_FOUND"}
    assert (len(batch.employees), len(roster.roster)) == (0, 0)


async def test_the_chart_is_published_read_and_closed(organization: Organization) -> None:
    charts = organization.charts
    put = org_chart_pb2.PutOrgChartEntryRequest(
        effective_date=day("2026-07-01"),
        entry=org_chart_pb2.OrgChartEntry(code="LAB", name="Lab", department=org_chart_pb2.Department(parent="ENG")),
    )
    done = await organization(charts.PutOrgChartEntry, put)
    close = org_chart_pb2.CloseOrgChartEntryRequest(
        kind=org_chart_pb2.ENTRY_KIND_DEPARTMENT, code="LAB", effective_date=day("2026-10-01"), etag=done.entry.etag
    )
    await organization(charts.CloseOrgChartEntry, close)
    get = org_chart_pb2.GetOrgChartEntryRequest(
        kind=org_chart_pb2.ENTRY_KIND_DEPARTMENT, code="LAB", as_of=day("2026-09-30")
    )

    open_then = await organization(charts.GetOrgChartEntry, get)
    get.as_of.CopyFrom(day("2026-10-01"))
    closed_now = await refused(organization(charts.GetOrgChartEntry, get))
    get.catalog_version = 2
    open_at_two = await organization(charts.GetOrgChartEntry, get)
    whole = await organization(charts.GetOrgChart, org_chart_pb2.GetOrgChartRequest(as_of=day("2026-08-01")))
    listed = await organization(
        charts.ListOrgChartEntries,
        org_chart_pb2.ListOrgChartEntriesRequest(
            kind=org_chart_pb2.ENTRY_KIND_DEPARTMENT, as_of=day("2026-11-01"), page_size=2
        ),
    )

    assert (done.catalog_version, done.entry.etag) == (2, "2")
    assert (open_then.entry.department.parent, open_then.entry.end_date) == ("ENG", day("2026-10-01"))
    assert closed_now[0] == "ENTRY_NOT_FOUND"
    assert open_at_two.entry.HasField("end_date") is False
    assert [entry.code for entry in whole.entries] == ["ACME-CN", "SHANGHAI", "ENG", "LAB", "OPS"]
    assert [entry.code for entry in listed.entries] == ["ENG"]
    assert listed.next_page_token


async def test_a_department_with_somebody_in_it_is_not_closed_and_the_refusal_says_who(
    organization: Organization,
) -> None:
    await organization.hire("E7", department="OPS")
    close = org_chart_pb2.CloseOrgChartEntryRequest(
        kind=org_chart_pb2.ENTRY_KIND_DEPARTMENT, code="OPS", effective_date=day("2026-10-01")
    )

    with pytest.raises(RemoteError) as refusal:
        await organization(organization.charts.CloseOrgChartEntry, close)

    assert refusal.value.reason == "ENTRY_IN_USE"
    assert refusal.value.message.startswith("1 employee has OPS from 2026-10-01 on (E7)")
    assert (refusal.value.facts["count"], refusal.value.facts["employee_numbers"]) == ("1", "E7")


async def test_odd_input_is_refused_with_its_field(organization: Organization) -> None:
    unzoned = org_chart_pb2.PutOrgChartEntryRequest(
        effective_date=day("2026-07-01"),
        entry=org_chart_pb2.OrgChartEntry(
            code="MARS", name="Mars", location=org_chart_pb2.Location(time_zone="Mars/Olympus", country="CN")
        ),
    )
    hires = {
        "hire.employee_number": a_hire("E 1"),
        "assignment.fte": a_hire("E1", fte="0"),
        "hire_date": a_hire("E1", hire_date=Date(year=2026, month=2, day=30)),
        "end_date": a_hire("E1", end_date=day("2026-01-04")),
        "department": a_hire("E1", department="NOWHERE"),
    }

    for field, hire in hires.items():
        request = pb.HireEmployeeRequest(hire=hire)
        assert (await refused(organization(organization.employees.HireEmployee, request)))[1] == [field]
    assert await refused(organization(organization.charts.PutOrgChartEntry, unzoned)) == (
        "FACT_OUT_OF_RANGE",
        ["entry.location.time_zone"],
    )


async def test_a_split_of_the_net_pay_that_does_not_add_up_is_refused(organization: Organization) -> None:
    id = (await organization.hire("E1")).employee_id
    splits: list[tuple[list[dict[str, Any]], str]] = [
        ([{"share_percent": "50"}], "bank_accounts.share_percent"),
        ([{"share_percent": "50"}, {}, {}], "bank_accounts.share_percent"),
        ([{"amount": Money(currency="CNY", minor_units=-1)}, {}], "bank_accounts.amount.amount"),
        ([{"amount": Money(currency="CNY", minor_units=1), "share_percent": "5"}, {}], "bank_accounts.amount"),
    ]

    for parts, field in splits:
        request = pb.ChangeBankAccountsRequest(
            employee_id=id,
            effective_date=day("2026-08-01"),
            bank_accounts=[pb.BankAccount(holder_name="Li Wei", account_number="6222-1", **part) for part in parts],
        )
        refusal = await refused(organization(organization.employees.ChangeBankAccounts, request))
        assert refusal == ("FACT_OUT_OF_RANGE", [field])


async def test_published_events_hold_ids_and_facts_only(organization: Organization) -> None:
    hired = await organization.hire("E1")
    await organization(organization.employees.ChangeCompensation, a_raise(hired.employee_id, "25000"))

    rows = [row for row in await organization.rows(outbox) if row["tenant_id"] == ACME]

    by_type = {row["type"].rpartition(".")[2]: row for row in rows}
    assert sorted(by_type) == ["CompensationChangedEvent", "EmployeeHiredEvent", "OrgChartPublishedEvent"]
    event = events_pb2.EmployeeHiredEvent.FromString(by_type["EmployeeHiredEvent"]["payload"])
    assert (event.employee_id, event.department) == (hired.employee_id, "ENG")
    everything = b"".join(row["payload"] for row in rows)
    assert all(canary.encode() not in everything for canary in (*CANARIES, "Li Wei", "25000"))


async def test_encrypted_fields_stand_in_no_table_in_clear(organization: Organization) -> None:
    hired = await organization.hire("E1")
    update = pb.UpdatePersonRequest(
        employee_id=hired.employee_id,
        effective_date=day("2026-07-01"),
        person=pb.PersonChange(phone=CANARIES[2] + "1"),
    )
    await organization(organization.employees.UpdatePerson, update)

    for table in metadata.tables.values():
        for row in await organization.rows(table):
            stored = b"|".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
            assert all(canary.encode() not in stored for canary in CANARIES), table.name


async def test_a_roster_is_told_for_many(organization: Organization) -> None:
    first, second = await organization.hire("E1"), await organization.hire("E2")
    request = pb.BatchGetRosterFactsRequest(
        employee_ids=[second.employee_id, str(uuid4()), first.employee_id], from_date=day("2026-11-01")
    )

    roster = (await organization(organization.employees.BatchGetRosterFacts, request)).roster

    assert [each.employee_id for each in roster] == [second.employee_id, first.employee_id]
    assert roster[0].spans[0] == pb.RosterSpan(
        start_date=day("2026-01-05"),
        assignment_id=second.work.assignment.assignment_id,
        work_schedule="STANDARD-5X8",
        location="SHANGHAI",
        time_zone="Asia/Shanghai",
        department="ENG",
        pay_group="CN-MONTHLY",
        legal_entity="ACME-CN",
    )
    assert datetime.now(UTC) - first.update_time.ToDatetime(tzinfo=UTC) < timedelta(minutes=1)
