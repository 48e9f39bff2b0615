"""Organization's gRPC services: decode, run the handler, encode."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, TypeVar, cast

from google.protobuf.message import Message
from muster.organization.v1 import employee_pb2 as pb
from muster.organization.v1 import employee_pb2_grpc, org_chart_pb2, org_chart_pb2_grpc

from chassis.paging import page_size
from chassis.unit_of_work import Commands, Queries
from contexts.organization.adapters import chart_codec, codec, requests
from contexts.organization.domain.employee import EmployeeState
from contexts.organization.domain.history import standing
from contexts.organization.domain.org_chart import EntryKind
from contexts.organization.domain.values import BEGINNING
from contexts.organization.handlers import change, chart, hire, read
from contexts.organization.repository.port import PayQuestion, Unit, View
from kernel.clock import Clock
from kernel.errors import DomainError

R = TypeVar("R")
M = TypeVar("M", bound=Message)
Outcome = tuple[EmployeeState, date]

SLICE_PAGE = 500


class EmployeeServicer(employee_pb2_grpc.EmployeeServiceServicer):
    """Employees: commands and reads."""

    def __init__(self, commands: "Commands[Any]", queries: "Queries[Any]", clock: Clock) -> None:
        self._commands = commands
        self._queries = queries
        self._clock = clock

    def _today(self) -> date:
        return self._clock.now().date()

    async def _changed(self, handler: Callable[[Unit], Awaitable[Outcome]], response: Callable[..., M]) -> M:
        """The employee as the command left them; the stored answer is sealed as a whole, so that it may hold it all."""

        async def shown(uow: Unit) -> pb.Employee:
            return codec.state_to_proto(await handler(uow), uow.vault)

        answer = await self._commands.run(shown, lambda employee: response(employee=employee))
        return cast(M, answer)

    async def _read(self, handler: Callable[[View], Awaitable[R]]) -> R:
        return await self._queries.run(handler)

    # ------------------------------------------------------------------------------------------ commands

    async def HireEmployee(self, request: pb.HireEmployeeRequest, context: Any) -> pb.HireEmployeeResponse:
        """See the proto."""
        cmd = hire.HireEmployee(requests.hire_from(request.hire), request.reason)
        return await self._changed(lambda uow: hire.hire_employee(cmd, uow), pb.HireEmployeeResponse)

    async def BatchHireEmployees(
        self, request: pb.BatchHireEmployeesRequest, context: Any
    ) -> pb.BatchHireEmployeesResponse:
        """An item that cannot be decoded is refused like one that breaks a rule."""
        decoded: list[hire.Hire | DomainError] = []
        for item in request.hires:
            try:
                decoded.append(requests.hire_from(item))
            except DomainError as refusal:
                decoded.append(refusal)
        hires = [each for each in decoded if isinstance(each, hire.Hire)]
        cmd = hire.HireEmployees(hires, request.reason, request.dry_run)

        def answer(outcomes: Any) -> pb.BatchHireEmployeesResponse:
            decided = iter(outcomes)
            return pb.BatchHireEmployeesResponse(
                results=[
                    codec.hire_result(each if isinstance(each, DomainError) else next(decided), request.dry_run)
                    for each in decoded
                ]
            )

        done = await self._commands.run(lambda uow: hire.hire_employees(cmd, uow), answer)
        return cast(pb.BatchHireEmployeesResponse, done)

    async def RehireEmployee(self, request: pb.RehireEmployeeRequest, context: Any) -> pb.RehireEmployeeResponse:
        """See the proto."""
        cmd = requests.rehire_from(request)
        return await self._changed(lambda uow: hire.rehire_employee(cmd, uow), pb.RehireEmployeeResponse)

    async def TransferEmployee(self, request: pb.TransferEmployeeRequest, context: Any) -> pb.TransferEmployeeResponse:
        """See the proto."""
        cmd = requests.transfer_from(request)
        return await self._changed(lambda uow: change.transfer_employee(cmd, uow), pb.TransferEmployeeResponse)

    async def PromoteEmployee(self, request: pb.PromoteEmployeeRequest, context: Any) -> pb.PromoteEmployeeResponse:
        """See the proto."""
        cmd = requests.promotion_from(request)
        return await self._changed(lambda uow: change.promote_employee(cmd, uow), pb.PromoteEmployeeResponse)

    async def ChangeManager(self, request: pb.ChangeManagerRequest, context: Any) -> pb.ChangeManagerResponse:
        """See the proto."""
        cmd = requests.manager_change_from(request)
        return await self._changed(lambda uow: change.change_manager(cmd, uow), pb.ChangeManagerResponse)

    async def ChangeCompensation(
        self, request: pb.ChangeCompensationRequest, context: Any
    ) -> pb.ChangeCompensationResponse:
        """See the proto."""
        cmd = requests.compensation_change_from(request)
        return await self._changed(lambda uow: change.change_compensation(cmd, uow), pb.ChangeCompensationResponse)

    async def ChangeStatutoryProfile(
        self, request: pb.ChangeStatutoryProfileRequest, context: Any
    ) -> pb.ChangeStatutoryProfileResponse:
        """See the proto."""
        cmd = requests.statutory_change_from(request)
        return await self._changed(
            lambda uow: change.change_statutory_profile(cmd, uow), pb.ChangeStatutoryProfileResponse
        )

    async def UpdatePerson(self, request: pb.UpdatePersonRequest, context: Any) -> pb.UpdatePersonResponse:
        """See the proto."""
        cmd = requests.person_update_from(request)
        return await self._changed(lambda uow: change.update_person(cmd, uow), pb.UpdatePersonResponse)

    async def ChangeBankAccounts(
        self, request: pb.ChangeBankAccountsRequest, context: Any
    ) -> pb.ChangeBankAccountsResponse:
        """See the proto."""
        cmd = requests.bank_accounts_change_from(request)
        return await self._changed(lambda uow: change.change_bank_accounts(cmd, uow), pb.ChangeBankAccountsResponse)

    async def TerminateEmployee(
        self, request: pb.TerminateEmployeeRequest, context: Any
    ) -> pb.TerminateEmployeeResponse:
        """See the proto."""
        cmd = requests.termination_from(request)
        return await self._changed(lambda uow: change.terminate_employee(cmd, uow), pb.TerminateEmployeeResponse)

    async def CorrectEmployee(self, request: pb.CorrectEmployeeRequest, context: Any) -> pb.CorrectEmployeeResponse:
        """See the proto."""
        cmd = requests.correction_from(request)
        return await self._changed(lambda uow: change.correct_employee(cmd, uow), pb.CorrectEmployeeResponse)

    async def CancelEmployeeChange(
        self, request: pb.CancelEmployeeChangeRequest, context: Any
    ) -> pb.CancelEmployeeChangeResponse:
        """See the proto."""
        cmd = requests.cancellation_from(request)
        return await self._changed(lambda uow: change.cancel_employee_change(cmd, uow), pb.CancelEmployeeChangeResponse)

    # ------------------------------------------------------------------------------------------ reads

    async def GetEmployee(self, request: pb.GetEmployeeRequest, context: Any) -> pb.GetEmployeeResponse:
        """See the proto."""
        as_of = codec.optional_date(request, "as_of") or self._today()
        query = read.GetEmployees(
            (codec.employee_id_from(request.employee_id),),
            as_of,
            codec.optional_instant(request, "known_at"),
            codec.OPENED.get(request.view, ()),
        )
        found = await self._read(lambda view: read.get_employee(query, view))
        return pb.GetEmployeeResponse(employee=codec.reading_to_proto(found, as_of))

    async def BatchGetEmployees(
        self, request: pb.BatchGetEmployeesRequest, context: Any
    ) -> pb.BatchGetEmployeesResponse:
        """See the proto."""
        as_of = codec.optional_date(request, "as_of") or self._today()
        query = read.GetEmployees(
            [codec.employee_id_from(id) for id in request.employee_ids],
            as_of,
            codec.optional_instant(request, "known_at"),
            codec.OPENED.get(request.view, ()),
        )
        found = await self._read(lambda view: read.get_employees(query, view))
        return pb.BatchGetEmployeesResponse(employees=[codec.reading_to_proto(each, as_of) for each in found])

    async def ListEmployees(self, request: pb.ListEmployeesRequest, context: Any) -> pb.ListEmployeesResponse:
        """See the proto."""
        criteria = requests.criteria_from(request, self._today())
        keys = requests.keys_from(request, 2)
        after = None if keys is None else (keys[0], requests.id_key(keys[1]))
        limit = page_size(request.page_size)
        manager_id = codec.optional_id(request.below_manager_id)
        below = None
        if manager_id is not None:
            below = (manager_id, codec.optional_date(request, "below_on") or criteria.as_of)
        query = read.ListEmployees(criteria, request.national_id, after, limit, below)
        listed = await self._read(lambda view: read.list_employees(query, view))
        page = listed[:limit]
        response = pb.ListEmployeesResponse(
            employees=[
                codec.reading_to_proto(read.Opened(each.reading, read.NOTHING_OPENED), criteria.as_of) for each in page
            ]
        )
        if len(listed) > limit:
            response.next_page_token = requests.token_of(request, page[-1].key, str(page[-1].reading.employee_id))
        return response

    async def GetEmployeeHistory(
        self, request: pb.GetEmployeeHistoryRequest, context: Any
    ) -> pb.GetEmployeeHistoryResponse:
        """The whole history is read to know which changes stand; it is bounded, the page is cut from it."""
        known_at = codec.optional_instant(request, "known_at")
        keys = requests.keys_from(request, 1)
        limit = page_size(request.page_size)
        id = codec.employee_id_from(request.employee_id)
        history = await self._read(lambda view: read.get_history(id, known_at, view))
        stands = {each.change_id for each in standing(history.changes)}
        left = [each for each in history.changes if keys is None or each.version > int(keys[0])]
        response = pb.GetEmployeeHistoryResponse(
            changes=[codec.change_to_proto(each, each.change_id in stands) for each in left[:limit]],
            employments=[codec.spell_to_proto(spell) for spell in history.projection.spells],
        )
        if len(left) > limit:
            response.next_page_token = requests.token_of(request, str(left[limit - 1].version))
        return response

    async def ListPaySlice(self, request: pb.ListPaySliceRequest, context: Any) -> pb.ListPaySliceResponse:
        """See the proto."""
        query = read.ListPaySlice(
            PayQuestion(
                request.pay_group,
                requests.period_from(request),
                codec.optional_instant(request, "known_at"),
                tuple(codec.employee_id_from(id) for id in request.employee_ids),
            ),
            codec.optional_id(request.after_employee_id),
            request.limit or SLICE_PAGE,
        )
        now = self._clock.now()
        return codec.slice_to_proto(await self._read(lambda view: read.list_pay_slice(query, view, now)))

    async def BatchGetRosterFacts(
        self, request: pb.BatchGetRosterFactsRequest, context: Any
    ) -> pb.BatchGetRosterFactsResponse:
        """See the proto."""
        ids = [codec.employee_id_from(id) for id in request.employee_ids]
        since = codec.optional_date(request, "from_date") or BEGINNING
        roster = await self._read(lambda view: read.get_roster(ids, since, view))
        return pb.BatchGetRosterFactsResponse(roster=[codec.roster_to_proto(each) for each in roster])

    async def GetFrontier(self, request: pb.GetFrontierRequest, context: Any) -> pb.GetFrontierResponse:
        """See the proto."""
        frontier = await self._read(lambda view: read.get_frontier(request.pay_group, view))
        latest = frontier.latest_record_time
        return pb.GetFrontierResponse(
            position=frontier.position,
            latest_record_time=None if latest is None else codec.instant_to_proto(latest),
            database_time=codec.instant_to_proto(frontier.database_time),
            settled_time=codec.instant_to_proto(frontier.settled_time),
        )

    async def ListChangedSince(self, request: pb.ListChangedSinceRequest, context: Any) -> pb.ListChangedSinceResponse:
        """See the proto."""
        keys = requests.keys_from(request, 1)
        query = read.ListChanged(
            PayQuestion(request.pay_group, requests.period_from(request), codec.optional_instant(request, "known_at")),
            request.position,
            None if keys is None else requests.id_key(keys[0]),
            page_size(request.page_size),
        )
        page = await self._read(lambda view: read.list_changed(query, view))
        response = pb.ListChangedSinceResponse(employees=[codec.changed_to_proto(each) for each in page.employees])
        if page.next_after is not None:
            response.next_page_token = requests.token_of(request, str(page.next_after))
        return response


class OrgChartServicer(org_chart_pb2_grpc.OrgChartServiceServicer):
    """The org chart: publishing and reads."""

    def __init__(self, commands: "Commands[Any]", queries: "Queries[Any]", clock: Clock) -> None:
        self._commands = commands
        self._queries = queries
        self._clock = clock

    def _as_of(self, request: Any) -> date:
        return codec.optional_date(request, "as_of") or self._clock.now().date()

    async def PutOrgChartEntry(
        self, request: org_chart_pb2.PutOrgChartEntryRequest, context: Any
    ) -> org_chart_pb2.PutOrgChartEntryResponse:
        """See the proto."""
        cmd = chart_codec.put_from(request)
        put = cmd.changes[0]

        def answer(state: Any) -> org_chart_pb2.PutOrgChartEntryResponse:
            entry = chart_codec.entry_on(state.content(), put.kind, put.code, put.effective_date)
            return org_chart_pb2.PutOrgChartEntryResponse(entry=entry, catalog_version=state.version)

        done = await self._commands.run(lambda uow: chart.publish(cmd, uow), answer)
        return cast(org_chart_pb2.PutOrgChartEntryResponse, done)

    async def PublishOrgChart(
        self, request: org_chart_pb2.PublishOrgChartRequest, context: Any
    ) -> org_chart_pb2.PublishOrgChartResponse:
        """See the proto."""
        cmd = chart_codec.publish_from(request)
        done = await self._commands.run(
            lambda uow: chart.publish(cmd, uow),
            lambda state: org_chart_pb2.PublishOrgChartResponse(catalog_version=state.version),
        )
        return cast(org_chart_pb2.PublishOrgChartResponse, done)

    async def CloseOrgChartEntry(
        self, request: org_chart_pb2.CloseOrgChartEntryRequest, context: Any
    ) -> org_chart_pb2.CloseOrgChartEntryResponse:
        """See the proto."""
        cmd = chart_codec.close_from(request)
        done = await self._commands.run(
            lambda uow: chart.publish(cmd, uow),
            lambda state: org_chart_pb2.CloseOrgChartEntryResponse(catalog_version=state.version),
        )
        return cast(org_chart_pb2.CloseOrgChartEntryResponse, done)

    async def GetOrgChart(
        self, request: org_chart_pb2.GetOrgChartRequest, context: Any
    ) -> org_chart_pb2.GetOrgChartResponse:
        """See the proto."""
        query = chart.ReadChart(
            self._as_of(request), request.catalog_version, known_at=codec.optional_instant(request, "known_at")
        )
        found = await self._queries.run(lambda view: chart.read_chart(query, view))
        return chart_codec.chart_to_proto(found, query.as_of)

    async def GetOrgChartEntry(
        self, request: org_chart_pb2.GetOrgChartEntryRequest, context: Any
    ) -> org_chart_pb2.GetOrgChartEntryResponse:
        """See the proto."""
        kind = EntryKind(request.kind)
        known_at = codec.optional_instant(request, "known_at")
        query = chart.ReadChart(self._as_of(request), request.catalog_version, kind, request.code, known_at=known_at)
        found = await self._queries.run(lambda view: chart.read_entry(query, view))
        entry = chart_codec.entry_on(found.content, kind, request.code, query.as_of)
        return org_chart_pb2.GetOrgChartEntryResponse(entry=entry, catalog_version=found.catalog_version)

    async def ListHeadcount(
        self, request: org_chart_pb2.ListHeadcountRequest, context: Any
    ) -> org_chart_pb2.ListHeadcountResponse:
        """A page may hold fewer positions than asked for: closed ones are left out."""
        keys = requests.keys_from(request, 1)
        query = chart.ReadChart(
            self._as_of(request),
            request.catalog_version,
            known_at=codec.optional_instant(request, "known_at"),
            after_code="" if keys is None else keys[0],
            limit=page_size(request.page_size),
        )
        found, filled = await self._queries.run(lambda view: chart.list_headcount(query, view))
        response = org_chart_pb2.ListHeadcountResponse(
            positions=[
                org_chart_pb2.PositionHeadcount(position=entry, filled=filled.get(entry.code, 0))
                for entry in chart_codec.entries_to_proto(found.content, query.as_of)
            ],
            catalog_version=found.catalog_version,
        )
        if found.next_code is not None:
            response.next_page_token = requests.token_of(request, found.next_code)
        return response

    async def ListOrgChartEntries(
        self, request: org_chart_pb2.ListOrgChartEntriesRequest, context: Any
    ) -> org_chart_pb2.ListOrgChartEntriesResponse:
        """A page may hold fewer entries than asked for: closed ones are left out."""
        keys = requests.keys_from(request, 1)
        query = chart.ReadChart(
            self._as_of(request),
            request.catalog_version,
            EntryKind(request.kind),
            known_at=codec.optional_instant(request, "known_at"),
            after_code="" if keys is None else keys[0],
            limit=page_size(request.page_size),
        )
        found = await self._queries.run(lambda view: chart.list_entries(query, view))
        response = org_chart_pb2.ListOrgChartEntriesResponse(
            entries=chart_codec.entries_to_proto(found.content, query.as_of), catalog_version=found.catalog_version
        )
        if found.next_code is not None:
            response.next_page_token = requests.token_of(request, found.next_code)
        return response
