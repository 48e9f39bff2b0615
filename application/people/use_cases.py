"""What people can be asked: hires, changes, histories and the org chart, each with one or two calls."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from muster.organization.v1 import employee_pb2 as wire
from muster.organization.v1 import employee_pb2_grpc, org_chart_pb2_grpc
from muster.organization.v1 import org_chart_pb2 as chart

from application.access import FieldClass, Reach, Resource, readable
from application.edge.authorize import allow, allowed_reach
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.pages import AsOfQuery, Page
from application.edge.tenants import Tenants
from application.edge.wire import ready_made, to_date, to_enum, to_instant
from application.people import codec, schemas
from application.people.relations import Relations
from chassis.rpc.channels import Client
from chassis.rpc.error_map import RemoteError
from kernel.ids import EmployeeId

NOBODY = "00000000-0000-0000-0000-000000000000"

_SORTS = {
    "employee_number": wire.EMPLOYEE_SORT_EMPLOYEE_NUMBER,
    "name": wire.EMPLOYEE_SORT_NAME,
    "hire_date": wire.EMPLOYEE_SORT_HIRE_DATE,
}


def view_for(shown: frozenset[FieldClass]) -> wire.EmployeeView.ValueType:
    """How much organization has to decrypt for what is shown."""
    if FieldClass.SENSITIVE in shown:
        return wire.EMPLOYEE_VIEW_FULL
    if FieldClass.PERSONAL in shown:
        return wire.EMPLOYEE_VIEW_CONTACT
    return wire.EMPLOYEE_VIEW_BASIC


class People:
    """The use cases of people; each checks access, makes at most one writing call, and shows what may be read."""

    def __init__(self, organization: Client, tenants: Tenants, relations: Relations) -> None:
        self._calls = Calls(organization)
        self._employees = organization.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._org_chart = organization.stub(org_chart_pb2_grpc.OrgChartServiceStub)
        self._tenants = tenants
        self._relations = relations

    # ---- employees ----

    async def hire(self, body: schemas.HireBody) -> schemas.EmployeeView:
        """Hire a person who was never here."""
        allow("employee.hire")
        request = wire.HireEmployeeRequest(hire=codec.to_hire(body), reason=body.reason)
        answer = await self._calls.write(self._employees.HireEmployee, request)
        id = answer.employee.employee_id
        current_exchange().located_at(f"/v1/employees/{id}")
        return self._shown(answer.employee, Resource(employee_id=EmployeeId(UUID(id))))

    async def hire_batch(self, body: schemas.HireBatchBody) -> schemas.HireBatchView:
        """Hire many; a refused item does not stop the others."""
        allow("employee.hire")
        request = wire.BatchHireEmployeesRequest(
            hires=[codec.to_hire(one) for one in body.employees], reason=body.reason, dry_run=body.dry_run
        )
        answer = await self._calls.write(self._employees.BatchHireEmployees, request)
        return schemas.HireBatchView.model_construct(
            results=[
                codec.hire_result_view(index, hire.employee_number, result)
                for index, (hire, result) in enumerate(zip(body.employees, answer.results, strict=True))
            ]
        )

    async def get(self, employee_id: UUID, query: AsOfQuery) -> schemas.EmployeeView:
        """One employee as of a date and as known at an instant."""
        resource = await self._relations.allow("employee.read", employee_id)
        shown = readable(current_exchange().caller, resource)
        answer = await self._calls.read(
            self._employees.GetEmployee,
            wire.GetEmployeeRequest(
                employee_id=str(employee_id),
                as_of=to_date(query.as_of or await self._tenants.today()),
                known_at=to_instant(query.known_at),
                view=view_for(shown),
            ),
        )
        current_exchange().has_version(answer.employee.etag)
        return codec.employee_view(answer.employee, shown)

    async def list(self, query: schemas.EmployeesQuery) -> Page[schemas.EmployeeView]:
        """A page of the employees within the caller's reach."""
        found = allowed_reach("employee.list")
        request = wire.ListEmployeesRequest(
            page_size=query.limit,
            page_token=query.cursor,
            as_of=to_date(query.as_of or await self._tenants.today()),
            known_at=to_instant(query.known_at),
            statuses=[to_enum(wire.EmployeeStatus, "EMPLOYEE_STATUS_", query.status)] if query.status else [],
            departments=[query.department] if query.department else [],
            legal_entities=[query.legal_entity] if query.legal_entity else [],
            pay_group=query.pay_group or "",
            location=query.location or "",
            manager_id=str(query.manager_id or ""),
            q=query.q or "",
            employee_number=query.employee_number or "",
            updated_since=to_instant(query.updated_since),
            sort=_SORTS[query.sort],
        )
        if not found.everybody:
            only = await self._within(request, found)
            if only is not None:
                return only
        answer = await self._calls.read(self._employees.ListEmployees, request)
        if query.manager_id is not None and not answer.employees:
            await self._relations.exist([query.manager_id])
        return self._page(answer.employees, answer.next_page_token)

    def _page(self, employees: Iterable[wire.Employee], cursor: str) -> Page[schemas.EmployeeView]:
        data = [self._listed(one) for one in employees]
        return ready_made(Page[schemas.EmployeeView], {"data": data, "next_cursor": cursor or None})

    async def _within(self, request: wire.ListEmployeesRequest, found: Reach) -> Page[schemas.EmployeeView] | None:
        """Narrow the list to the caller's reach; a page of oneself where that is all there is."""
        nothing = self._page((), "")
        caller = current_exchange().caller
        if found.legal_entities:
            asked = set(request.legal_entities) or found.legal_entities
            del request.legal_entities[:]
            request.legal_entities.extend(sorted(asked & found.legal_entities))
            return None if request.legal_entities else nothing
        if found.departments:
            reached = await self._relations.below(found.departments)
            asked = set(request.departments) or reached
            del request.departments[:]
            request.departments.extend(sorted(asked & reached)[:100])
            return None if request.departments else nothing
        if caller.employee_id is None:
            return nothing
        if found.team:
            if request.manager_id not in ("", str(caller.employee_id)):
                await self._relations.allow("employee.read", UUID(request.manager_id))
            # The team is that of today, as it is where one person is read, whatever day the facts are of.
            today = to_date(await self._tenants.today())
            request.MergeFrom(wire.ListEmployeesRequest(below_manager_id=str(caller.employee_id), below_on=today))
            return None
        answer = await self._calls.read(
            self._employees.BatchGetEmployees,
            wire.BatchGetEmployeesRequest(
                employee_ids=[str(caller.employee_id)],
                as_of=request.as_of,
                known_at=request.known_at if request.HasField("known_at") else None,
            ),
        )
        return self._page(answer.employees, "")

    async def history(self, employee_id: UUID, query: schemas.HistoryQuery) -> schemas.HistoryView:
        """What was recorded of one employee."""
        resource = await self._relations.allow("employee.history", employee_id)
        shown = readable(current_exchange().caller, resource)
        answer = await self._calls.read(
            self._employees.GetEmployeeHistory,
            wire.GetEmployeeHistoryRequest(
                employee_id=str(employee_id),
                known_at=to_instant(query.known_at),
                page_size=query.limit,
                page_token=query.cursor,
            ),
        )
        return schemas.HistoryView.model_construct(
            data=[codec.change_view(one, shown) for one in answer.changes],
            next_cursor=answer.next_page_token or None,
            employments=[codec.employment_view(one) for one in answer.employments],
        )

    async def transfer(self, employee_id: UUID, body: schemas.TransferBody) -> schemas.EmployeeView:
        """Change facts of the assignment from a date on."""
        request = wire.TransferEmployeeRequest(
            employee_id=str(employee_id),
            effective_date=to_date(body.effective_date),
            assignment=codec.to_assignment_change(body.assignment),
            reason=body.reason,
        )
        return await self._change("employee.transfer", employee_id, self._employees.TransferEmployee, request)

    async def promote(self, employee_id: UUID, body: schemas.PromotionBody) -> schemas.EmployeeView:
        """Raise position, grade and pay together."""
        request = wire.PromoteEmployeeRequest(
            employee_id=str(employee_id),
            effective_date=to_date(body.effective_date),
            assignment=codec.to_assignment_change(body.assignment),
            compensation=codec.to_compensation(body.compensation),
            reason=body.reason,
        )
        return await self._change("employee.promote", employee_id, self._employees.PromoteEmployee, request)

    async def change_manager(self, employee_id: UUID, body: schemas.ManagerChangeBody) -> schemas.EmployeeView:
        """Change the manager from a date on."""
        request = wire.ChangeManagerRequest(
            employee_id=str(employee_id),
            effective_date=to_date(body.effective_date),
            manager_id=str(body.manager_id or ""),
            reason=body.reason,
        )
        return await self._change("employee.change_manager", employee_id, self._employees.ChangeManager, request)

    async def change_compensation(
        self, employee_id: UUID, body: schemas.CompensationChangeBody
    ) -> schemas.EmployeeView:
        """Change the compensation, or allowances, from a date on."""
        request = wire.ChangeCompensationRequest(
            employee_id=str(employee_id),
            effective_date=to_date(body.effective_date),
            compensation=codec.to_compensation(body.compensation),
            allowances=codec.to_allowance_changes(body.allowances),
            reason=body.reason,
        )
        return await self._change("compensation.change", employee_id, self._employees.ChangeCompensation, request)

    async def change_statutory_profile(
        self, employee_id: UUID, body: schemas.StatutoryProfileChangeBody
    ) -> schemas.EmployeeView:
        """Change statutory answers from a date on."""
        request = wire.ChangeStatutoryProfileRequest(
            employee_id=str(employee_id),
            effective_date=to_date(body.effective_date),
            statutory_profile=codec.to_profile(body.statutory_profile),
            reason=body.reason,
        )
        method = self._employees.ChangeStatutoryProfile
        return await self._change("statutory_profile.change", employee_id, method, request)

    async def change_bank_accounts(self, employee_id: UUID, body: schemas.BankAccountsBody) -> schemas.EmployeeView:
        """Replace the bank accounts from a date on."""
        request = wire.ChangeBankAccountsRequest(
            employee_id=str(employee_id),
            effective_date=to_date(body.effective_date),
            bank_accounts=codec.to_bank_accounts(body.bank_accounts),
            reason=body.reason,
        )
        return await self._change("bank_account.change", employee_id, self._employees.ChangeBankAccounts, request)

    async def update_person(self, employee_id: UUID, body: schemas.PersonUpdateBody) -> schemas.EmployeeView:
        """Change facts of the person from a date on."""
        request = wire.UpdatePersonRequest(
            employee_id=str(employee_id),
            effective_date=to_date(body.effective_date or await self._tenants.today()),
            person=codec.to_person_change(body.person),
            reason=body.reason,
        )
        return await self._change("employee.update_person", employee_id, self._employees.UpdatePerson, request)

    async def terminate(self, employee_id: UUID, body: schemas.TerminationBody) -> schemas.EmployeeView:
        """End the employment with a last day."""
        request = wire.TerminateEmployeeRequest(
            employee_id=str(employee_id),
            end_date=to_date(body.end_date),
            end_reason=to_enum(wire.EndReason, "END_REASON_", body.end_reason),
            reason=body.reason,
        )
        return await self._change("employee.terminate", employee_id, self._employees.TerminateEmployee, request)

    async def rehire(self, employee_id: UUID, body: schemas.RehireBody) -> schemas.EmployeeView:
        """Open a new spell of a former employee."""
        request = wire.RehireEmployeeRequest(
            employee_id=str(employee_id),
            hire_date=to_date(body.hire_date),
            end_date=to_date(body.end_date),
            assignment=codec.to_assignment(body.assignment, body.employment_type),
            compensation=codec.to_compensation(body.compensation),
            allowances=codec.to_allowances(body.allowances),
            statutory_profiles=codec.to_profiles(body.statutory_profile),
            reason=body.reason,
        )
        return await self._change("employee.rehire", employee_id, self._employees.RehireEmployee, request)

    async def correct(self, employee_id: UUID, body: schemas.CorrectionBody) -> schemas.EmployeeView:
        """Supersede a change that was recorded wrongly."""
        request = wire.CorrectEmployeeRequest(
            employee_id=str(employee_id),
            change_id=str(body.change_id),
            correction=codec.to_correction(body),
            reason=body.reason,
        )
        return await self._change("employee.correct", employee_id, self._employees.CorrectEmployee, request)

    async def cancel_change(self, employee_id: UUID, change_id: UUID) -> schemas.EmployeeView:
        """Cancel a recorded change, as if it had never been."""
        request = wire.CancelEmployeeChangeRequest(employee_id=str(employee_id), change_id=str(change_id))
        method = self._employees.CancelEmployeeChange
        return await self._change("employee.cancel_change", employee_id, method, request)

    async def _change(self, action: str, employee_id: UUID, method: Any, request: Any) -> schemas.EmployeeView:
        resource = await self._relations.allow(action, employee_id)
        answer = await self._calls.write(method, request)
        return self._shown(answer.employee, resource)

    def _shown(self, employee: wire.Employee, resource: Resource) -> schemas.EmployeeView:
        exchange = current_exchange()
        exchange.has_version(employee.etag)
        return codec.employee_view(employee, readable(exchange.caller, resource))

    def _listed(self, employee: wire.Employee) -> schemas.EmployeeView:
        assignment = employee.work.assignment
        resource = Resource(
            employee_id=EmployeeId(UUID(employee.employee_id)),
            legal_entity=assignment.legal_entity,
            departments=frozenset({assignment.department}),
        )
        return codec.employee_view(employee, readable(current_exchange().caller, resource))

    # ---- org chart ----

    async def put_entry(self, code: str, body: Any, view: Callable[[chart.OrgChartEntry], Any]) -> Any:
        """Publish one entry of the org chart from a date on."""
        allow("org_chart.publish")
        request = chart.PutOrgChartEntryRequest(
            effective_date=to_date(body.effective_date), entry=codec.to_entry(code, body), reason=body.reason
        )
        try:
            entry = (await self._calls.write(self._org_chart.PutOrgChartEntry, request)).entry
        except RemoteError as error:
            if error.reason != "NOTHING_CHANGES":
                raise
            # To put what stands there already is no mistake.
            asked = chart.GetOrgChartEntryRequest(
                kind=chart.EntryKind.Value(f"ENTRY_KIND_{(request.entry.WhichOneof('detail') or '').upper()}"),
                code=code,
                as_of=request.effective_date,
            )
            entry = (await self._calls.read(self._org_chart.GetOrgChartEntry, asked)).entry
        current_exchange().has_version(entry.etag)
        return view(entry)

    async def close_entry(self, kind: str, code: str, body: schemas.EntryClosingBody) -> schemas.EntryClosingView:
        """Close one entry of the org chart from a date on."""
        allow("org_chart.publish")
        request = chart.CloseOrgChartEntryRequest(
            kind=to_enum(chart.EntryKind, "ENTRY_KIND_", kind),
            code=code,
            effective_date=to_date(body.effective_date),
            reason=body.reason,
        )
        answer = await self._calls.write(self._org_chart.CloseOrgChartEntry, request)
        current_exchange().has_version(str(answer.catalog_version))
        return schemas.EntryClosingView.model_construct(
            code=code, closed_from=body.effective_date, version=answer.catalog_version
        )

    async def get_entry(
        self, kind: str, code: str, query: schemas.OrgChartQuery, view: Callable[[chart.OrgChartEntry], Any]
    ) -> Any:
        """One entry on a date."""
        allow("org_chart.read")
        answer = await self._calls.read(
            self._org_chart.GetOrgChartEntry,
            chart.GetOrgChartEntryRequest(
                kind=to_enum(chart.EntryKind, "ENTRY_KIND_", kind),
                code=code,
                as_of=to_date(query.as_of or await self._tenants.today()),
                catalog_version=query.version or 0,
                known_at=to_instant(query.known_at),
            ),
        )
        current_exchange().has_version(answer.entry.etag)
        return view(answer.entry)

    async def list_entries(
        self, kind: str, query: schemas.EntriesQuery, view: Callable[[chart.OrgChartEntry], Any]
    ) -> Page[Any]:
        """Entries of one kind on a date, by code."""
        allow("org_chart.read")
        answer = await self._calls.read(
            self._org_chart.ListOrgChartEntries,
            chart.ListOrgChartEntriesRequest(
                kind=to_enum(chart.EntryKind, "ENTRY_KIND_", kind),
                as_of=to_date(query.as_of or await self._tenants.today()),
                catalog_version=query.version or 0,
                known_at=to_instant(query.known_at),
                page_size=query.limit,
                page_token=query.cursor,
            ),
        )
        return Page[Any].model_construct(
            data=[view(one) for one in answer.entries], next_cursor=answer.next_page_token or None
        )

    async def headcount(self, query: schemas.EntriesQuery) -> Page[schemas.HeadcountView]:
        """Positions on a date with plan and people, by code."""
        allow("headcount.read")
        answer = await self._calls.read(
            self._org_chart.ListHeadcount,
            chart.ListHeadcountRequest(
                as_of=to_date(query.as_of or await self._tenants.today()),
                catalog_version=query.version or 0,
                known_at=to_instant(query.known_at),
                page_size=query.limit,
                page_token=query.cursor,
            ),
        )
        return Page[schemas.HeadcountView].model_construct(
            data=[codec.headcount_view(one) for one in answer.positions], next_cursor=answer.next_page_token or None
        )

    async def org_chart(self, query: schemas.OrgChartQuery) -> schemas.OrgChartView:
        """The whole chart on a date."""
        allow("org_chart.read")
        answer = await self._calls.read(
            self._org_chart.GetOrgChart,
            chart.GetOrgChartRequest(
                as_of=to_date(query.as_of or await self._tenants.today()),
                catalog_version=query.version or 0,
                known_at=to_instant(query.known_at),
            ),
        )
        return codec.org_chart_view(answer)
