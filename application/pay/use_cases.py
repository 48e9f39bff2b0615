"""What pay can be asked: the payroll catalog, inputs, runs and their payslips."""

import asyncio
import hashlib
from math import ceil
from uuid import UUID, uuid4

from google.protobuf.timestamp_pb2 import Timestamp
from muster.attendance.v1 import timesheet_pb2, timesheet_pb2_grpc
from muster.organization.v1 import employee_pb2, employee_pb2_grpc
from muster.payroll.v1 import payroll_catalog_pb2 as catalog
from muster.payroll.v1 import payroll_catalog_pb2_grpc, payroll_run_pb2_grpc
from muster.payroll.v1 import payroll_run_pb2 as wire

from application.edge.authorize import allow
from application.edge.calls import Calls
from application.edge.exchange import current_exchange
from application.edge.pages import DatedQuery, Page, PageQuery
from application.edge.refusal import Refusal
from application.edge.table import CsvResponse
from application.edge.tenants import Tenants
from application.edge.wire import from_instant, optional_id, to_date, to_enum
from application.pay import codec, schemas
from application.pay.bank_file import BankFile
from application.pay.calculation import RunCalculation, payroll_process
from application.pay.changes import CHANGES_PAGE, MOST_CHANGES, Changes
from application.pay.register import Register
from application.people.relations import Relations
from chassis.rpc.channels import Client
from kernel.ids import derived_id

_WITHOUT_FACTS = (wire.RUN_KIND_OPENING, wire.RUN_KIND_REVERSAL)  # no source can change what they hold
SETTLED_LEEWAY_S = 0.05
CALL_LEEWAY_S = 2.0  # what the calls after the wait may need


class NotSettled(Refusal):
    """Facts of the pay group are too young to be read twice alike."""

    status, reason = 409, "NOT_SETTLED"


class Pay:
    """The use cases of pay; each checks access and makes at most one write of the client's."""

    def __init__(
        self, organization: Client, attendance: Client, payroll: Client, tenants: Tenants, relations: Relations
    ) -> None:
        self._calls = Calls(payroll)
        self._runs = payroll.stub(payroll_run_pb2_grpc.PayrollRunServiceStub)
        self._catalog = payroll.stub(payroll_catalog_pb2_grpc.PayrollCatalogServiceStub)
        self._people = Calls(organization)
        self._employees = organization.stub(employee_pb2_grpc.EmployeeServiceStub)
        self._time = Calls(attendance)
        self._timesheets = attendance.stub(timesheet_pb2_grpc.TimesheetServiceStub)
        self._tenants = tenants
        self._relations = relations
        self.calculation = RunCalculation(self._people, self._time, self._calls, f"pay-{uuid4().hex[:12]}")
        self._changes = Changes(self._people, self._time)

    # ---- catalog ----

    async def put_pay_group(self, code: str, body: schemas.PayGroupBody) -> schemas.PayGroupView:
        """Define a pay group from a date on."""
        allow("pay_catalog.publish")
        answer = await self._calls.write(
            self._catalog.PutPayGroup, catalog.PutPayGroupRequest(pay_group=codec.to_pay_group(code, body))
        )
        return codec.pay_group_view(answer.pay_group, answer.catalog_version)

    async def pay_group(self, code: str, query: DatedQuery) -> schemas.PayGroupView:
        """One pay group as of a date."""
        allow("pay_catalog.read")
        as_of = to_date(query.as_of or await self._tenants.today())
        answer = await self._calls.read(self._catalog.GetPayGroup, catalog.GetPayGroupRequest(code=code, as_of=as_of))
        return codec.pay_group_view(answer.pay_group, answer.catalog_version)

    async def pay_groups(self, query: schemas.CatalogQuery) -> Page[schemas.PayGroupView]:
        """A page of pay groups as of a date."""
        allow("pay_catalog.read")
        answer = await self._calls.read(
            self._catalog.ListPayGroups,
            catalog.ListPayGroupsRequest(
                as_of=to_date(query.as_of or await self._tenants.today()),
                page_size=query.limit,
                page_token=query.cursor,
            ),
        )
        return Page[schemas.PayGroupView].model_construct(
            data=[codec.pay_group_view(group, answer.catalog_version) for group in answer.pay_groups],
            next_cursor=answer.next_page_token or None,
        )

    async def pay_periods(self, code: str, query: schemas.PayPeriodsQuery) -> schemas.PayPeriodsView:
        """The pay periods between two days."""
        allow("pay_catalog.read")
        answer = await self._calls.read(
            self._catalog.ListPayPeriods,
            catalog.ListPayPeriodsRequest(
                pay_group=code, from_date=to_date(query.from_date), to_date=to_date(query.to_date)
            ),
        )
        return schemas.PayPeriodsView.model_construct(data=[codec.period_view(each) for each in answer.pay_periods])

    async def put_component(self, code: str, body: schemas.PayComponentBody) -> schemas.PayComponentView:
        """Define a pay component from a date on; the whole set must compile."""
        allow("pay_catalog.publish")
        answer = await self._calls.write(
            self._catalog.PutPayComponent, catalog.PutPayComponentRequest(component=codec.to_component(code, body))
        )
        return codec.component_view(answer.component)

    async def component(self, code: str, query: DatedQuery) -> schemas.PayComponentView:
        """One pay component as of a date."""
        allow("pay_catalog.read")
        as_of = to_date(query.as_of or await self._tenants.today())
        answer = await self._calls.read(
            self._catalog.GetPayComponent, catalog.GetPayComponentRequest(code=code, as_of=as_of)
        )
        return codec.component_view(answer.component)

    async def components(self, query: schemas.CatalogQuery) -> Page[schemas.PayComponentView]:
        """A page of pay components as of a date."""
        allow("pay_catalog.read")
        answer = await self._calls.read(
            self._catalog.ListPayComponents,
            catalog.ListPayComponentsRequest(
                as_of=to_date(query.as_of or await self._tenants.today()),
                page_size=query.limit,
                page_token=query.cursor,
            ),
        )
        return Page[schemas.PayComponentView].model_construct(
            data=[codec.component_view(component) for component in answer.components],
            next_cursor=answer.next_page_token or None,
        )

    async def adopt_components(self, body: schemas.StandardComponentsBody) -> schemas.StandardComponentsView:
        """Adopt a country's standard components; codes that exist are left alone."""
        allow("pay_catalog.publish")
        answer = await self._calls.write(
            self._catalog.AdoptStandardComponents,
            catalog.AdoptStandardComponentsRequest(country=body.country, effective_date=to_date(body.effective_date)),
        )
        return schemas.StandardComponentsView.model_construct(
            data=[codec.component_view(component) for component in answer.components],
            catalog_version=answer.catalog_version,
        )

    # ---- inputs ----

    async def create_pay_input(self, body: schemas.PayInputBody) -> schemas.PayInputView:
        """Enter one amount for one employee and period. The employee must be known to organization."""
        await self._relations.allow("pay_input.enter", body.employee_id)
        await self._people.read(
            self._employees.GetEmployee,
            employee_pb2.GetEmployeeRequest(
                employee_id=str(body.employee_id), as_of=to_date(await self._tenants.today())
            ),
        )
        answer = await self._calls.write(self._runs.CreatePayInput, codec.to_pay_input(body))
        return codec.pay_input_view(answer.pay_input)

    async def cancel_pay_input(self, pay_input_id: UUID) -> schemas.PayInputView:
        """Take back an input that no final run has paid."""
        allow("pay_input.enter")
        answer = await self._calls.write(
            self._runs.CancelPayInput, wire.CancelPayInputRequest(pay_input_id=str(pay_input_id))
        )
        return codec.pay_input_view(answer.pay_input)

    async def end_pay_input(self, pay_input_id: UUID, body: schemas.EndPayInputBody) -> schemas.PayInputView:
        """Pay a recurring input for the last time in a period."""
        allow("pay_input.enter")
        answer = await self._calls.write(
            self._runs.EndPayInput,
            wire.EndPayInputRequest(pay_input_id=str(pay_input_id), last_period=body.last_period),
        )
        return codec.pay_input_view(answer.pay_input)

    async def pay_inputs(self, query: schemas.PayInputsQuery) -> Page[schemas.PayInputView]:
        """A page of inputs, newest first."""
        allow("pay_input.read")
        answer = await self._calls.read(
            self._runs.ListPayInputs,
            wire.ListPayInputsRequest(
                employee_id=str(query.employee_id or ""),
                pay_group=query.pay_group or "",
                period=query.period or "",
                page_size=query.limit,
                page_token=query.cursor,
            ),
        )
        if query.employee_id is not None and not answer.pay_inputs:
            await self._relations.exist([query.employee_id])
        return Page[schemas.PayInputView].model_construct(
            data=[codec.pay_input_view(each) for each in answer.pay_inputs], next_cursor=answer.next_page_token or None
        )

    # ---- runs ----

    async def create_run(self, body: schemas.RunBody) -> schemas.RunView:
        """Create a run in DRAFT."""
        allow("payroll_run.create")
        if body.employees:
            await self._relations.exist(body.employees)
        answer = await self._calls.write(self._runs.CreatePayrollRun, codec.to_run(body))
        current_exchange().located_at(f"/v1/payroll-runs/{answer.run.run_id}")
        return self._versioned(answer.run)

    async def import_opening_balances(self, body: schemas.OpeningBalancesBody) -> schemas.RunView:
        """Bring in what another payroll paid and withheld, as a run that a second person has to approve."""
        allow("opening_balance.enter")
        await self._relations.exist([balance.employee_id for balance in body.balances])
        answer = await self._calls.write(self._runs.ImportOpeningBalances, codec.to_opening_balances(body))
        current_exchange().located_at(f"/v1/payroll-runs/{answer.run.run_id}")
        return self._versioned(answer.run)

    async def run(self, run_id: UUID) -> schemas.RunView:
        """One run with its progress."""
        allow("payroll_run.read")
        return self._versioned(await self._run(run_id))

    async def runs(self, query: schemas.RunsQuery) -> Page[schemas.RunView]:
        """A page of runs, newest first."""
        allow("payroll_run.read")
        answer = await self._calls.read(
            self._runs.ListPayrollRuns,
            wire.ListPayrollRunsRequest(
                pay_group=query.pay_group or "",
                period=query.period or "",
                status=to_enum(wire.RunStatus, "RUN_STATUS_", query.status),
                page_size=query.limit,
                page_token=query.cursor,
            ),
        )
        return Page[schemas.RunView].model_construct(
            data=[codec.run_view(run) for run in answer.runs], next_cursor=answer.next_page_token or None
        )

    async def calculate(self, run_id: UUID) -> schemas.RunView:
        """Start the calculation; a pay process carries it on."""
        allow("payroll_run.calculate")
        run = await self._run(run_id)
        if run.attempt or not run.HasField("input_cutoff"):
            await self._settled(run.pay_group)
        # Without a cut-off payroll freezes the youngest instant that is settled on its own clock.
        answer = await self._calls.write(self._runs.StartCalculation, wire.StartCalculationRequest(run_id=str(run_id)))
        return self._versioned(answer.run)

    async def _settled(self, pay_group: str) -> Timestamp:
        """The youngest instant whose facts cannot change any more, once it lies after the pay group's youngest fact.

        Raises NotSettled where that would take longer than the request may.
        """
        clock = asyncio.get_running_loop()
        while True:
            people = await self._people.read(
                self._employees.GetFrontier, employee_pb2.GetFrontierRequest(pay_group=pay_group)
            )
            time = await self._time.read(
                self._timesheets.GetFrontier, timesheet_pb2.GetFrontierRequest(pay_group=pay_group)
            )
            settled = from_instant(people.settled_time)
            assert settled is not None, "organization always says what is settled"
            youngest = [
                instant
                for source in (people, time)
                if (instant := from_instant(source.latest_record_time)) is not None and instant > settled
            ]
            if not youngest:
                return people.settled_time
            wait_s = (max(youngest) - settled).total_seconds() + SETTLED_LEEWAY_S
            if clock.time() + wait_s > current_exchange().deadline - CALL_LEEWAY_S:
                raise NotSettled(
                    "facts of this pay group were recorded a moment ago; ask again when they are settled",
                    headers={"Retry-After": str(ceil(wait_s))},
                )
            await asyncio.sleep(wait_s)

    async def recalculate(self, run_id: UUID, employee_id: UUID) -> schemas.RunView:
        """Calculate one employee of the run anew, with the facts as known now."""
        allow("payroll_run.recalculate")
        run = await self._run(run_id)
        caller = payroll_process(current_exchange().caller.tenant_id)
        known_at = await self._settled(run.pay_group)
        facts = await self.calculation.facts_of(caller, run, known_at, [str(employee_id)])
        answer = await self._calls.write(
            self._runs.RecalculateEmployees,
            wire.RecalculateEmployeesRequest(
                run_id=str(run_id),
                facts=facts,
                known_at=known_at,
                gone_employee_ids=[] if facts else [str(employee_id)],
            ),
        )
        return self._versioned(answer.run)

    async def defer(self, run_id: UUID, body: schemas.DeferBody) -> schemas.RunView:
        """Leave blocked employees to a later run, by name."""
        allow("payroll_run.recalculate")
        answer = await self._calls.write(
            self._runs.DeferEmployees,
            wire.DeferEmployeesRequest(run_id=str(run_id), employee_ids=[str(each) for each in body.employees]),
        )
        return self._versioned(answer.run)

    async def approve(self, run_id: UUID, body: schemas.ApproveBody) -> schemas.RunView:
        """Approve what was seen; inputs that changed since make payslips stale and refuse it."""
        allow("payroll_run.approve")
        run = await self._run(run_id)
        if run.status == wire.RUN_STATUS_CALCULATED and run.kind not in _WITHOUT_FACTS:
            await self._refresh(run)
        answer = await self._calls.write(
            self._runs.ApprovePayrollRun,
            wire.ApprovePayrollRunRequest(
                run_id=str(run_id),
                calculation_hash=body.calculation_hash,
                accept_changes_as_retro=body.accept_changes_as_retro or "",
            ),
        )
        return self._versioned(answer.run)

    async def _refresh(self, run: wire.PayrollRun) -> None:
        """Tell payroll what changed at the sources since the facts were read. Repeating it changes nothing."""
        caller = payroll_process(current_exchange().caller.tenant_id)
        now = await self.calculation.frontier(caller, run.pay_group)
        changes = await self._changes.of(caller, run)
        whole = len(changes) < MOST_CHANGES  # else the next approval goes on from the same positions
        for start in range(0, len(changes), CHANGES_PAGE):
            last = start + CHANGES_PAGE >= len(changes)
            request = wire.RefreshInputsRequest(
                run_id=run.run_id,
                changes=changes[start : start + CHANGES_PAGE],
                source_positions=now if whole and last else (),
            )
            said = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
            await self._calls.write_as(
                caller, self._runs.RefreshInputs, request, derived_id(run.run_id, run.etag, said)
            )

    async def finalize(self, run_id: UUID) -> schemas.RunView:
        """Make the approved run final."""
        allow("payroll_run.finalize")
        answer = await self._calls.write(
            self._runs.FinalizePayrollRun, wire.FinalizePayrollRunRequest(run_id=str(run_id))
        )
        return self._versioned(answer.run)

    async def void(self, run_id: UUID, body: schemas.VoidBody) -> schemas.RunView:
        """Give up a run that is not final."""
        allow("payroll_run.void")
        answer = await self._calls.write(
            self._runs.VoidPayrollRun, wire.VoidPayrollRunRequest(run_id=str(run_id), reason=body.reason)
        )
        return self._versioned(answer.run)

    async def reverse(self, run_id: UUID, body: schemas.ReverseBody) -> schemas.RunView:
        """Take a final run back: a new run of negated lines, which a pay process makes."""
        allow("payroll_run.reverse")
        answer = await self._calls.write(
            self._runs.ReversePayrollRun,
            wire.ReversePayrollRunRequest(
                run_id=str(run_id),
                reason=body.reason,
                reversal_date=to_date(await self._tenants.today()),
                recover_settled=body.recover_settled,
            ),
        )
        return self._versioned(answer.run)

    async def blockers(self, run_id: UUID, query: PageQuery) -> Page[schemas.BlockerView]:
        """Who has no payslip, and why."""
        allow("payroll_run.read")
        answer = await self._calls.read(
            self._runs.ListBlockers,
            wire.ListBlockersRequest(run_id=str(run_id), page_size=query.limit, page_token=query.cursor),
        )
        return Page[schemas.BlockerView].model_construct(
            data=[codec.blocker_view(each) for each in answer.blockers], next_cursor=answer.next_page_token or None
        )

    async def stale(self, run_id: UUID, query: PageQuery) -> Page[schemas.StaleView]:
        """Whose inputs changed since the calculation."""
        allow("payroll_run.read")
        answer = await self._calls.read(
            self._runs.ListStalePayslips,
            wire.ListStalePayslipsRequest(run_id=str(run_id), page_size=query.limit, page_token=query.cursor),
        )
        return Page[schemas.StaleView].model_construct(
            data=[codec.stale_view(each) for each in answer.stale_payslips], next_cursor=answer.next_page_token or None
        )

    async def component_totals(self, run_id: UUID) -> schemas.ComponentTotalsView:
        """Every component's sum over the run."""
        allow("payroll_run.read")
        answer = await self._calls.read(
            self._runs.ListComponentTotals, wire.ListComponentTotalsRequest(run_id=str(run_id))
        )
        return schemas.ComponentTotalsView.model_construct(
            data=[codec.component_total_view(total) for total in answer.totals]
        )

    # ---- payslips ----

    async def run_payslips(self, run_id: UUID, query: PageQuery) -> Page[schemas.PayslipSummaryView]:
        """The payslips of a run, by employee."""
        allow("payroll_run.read")
        await self._run(run_id)
        return await self._summaries(wire.ListPayslipsRequest(run_id=str(run_id)), query)

    async def payslips(self, query: schemas.PayslipsQuery) -> Page[schemas.PayslipSummaryView]:
        """One employee's payslips, newest first; the employee sees final ones only."""
        await self._relations.allow("payslip.list", query.employee_id)
        own = current_exchange().caller.employee_id == query.employee_id
        request = wire.ListPayslipsRequest(employee_id=str(query.employee_id), tax_year=query.year, finalized_only=own)
        page = await self._summaries(request, query)
        if not page.data and not own:
            await self._relations.exist([query.employee_id])
        return page

    async def _summaries(self, request: wire.ListPayslipsRequest, query: PageQuery) -> Page[schemas.PayslipSummaryView]:
        request.page_size, request.page_token = query.limit, query.cursor
        answer = await self._calls.read(self._runs.ListPayslips, request)
        return Page[schemas.PayslipSummaryView].model_construct(
            data=[codec.summary_view(each) for each in answer.payslips], next_cursor=answer.next_page_token or None
        )

    async def payslip(self, payslip_id: UUID) -> schemas.PayslipView:
        """One payslip with its lines."""
        return codec.payslip_view(await self._payslip("payslip.read", payslip_id))

    async def trace(self, payslip_id: UUID, code: str) -> schemas.TraceView:
        """How one line came to its amount."""
        await self._payslip("payslip.trace", payslip_id)
        answer = await self._calls.read(
            self._runs.GetPayslipLineTrace, wire.GetPayslipLineTraceRequest(payslip_id=str(payslip_id), code=code)
        )
        return codec.trace_view(str(payslip_id), answer)

    async def replay(self, payslip_id: UUID) -> schemas.ReplayView:
        """Calculate a payslip anew from what it froze and compare the bytes; nothing is written."""
        await self._payslip("payslip.replay", payslip_id)
        answer = await self._calls.read(self._runs.ReplayPayslip, wire.ReplayPayslipRequest(payslip_id=str(payslip_id)))
        return codec.replay_view(answer)

    async def _payslip(self, action: str, payslip_id: UUID) -> wire.Payslip:
        answer = await self._calls.read(self._runs.GetPayslip, wire.GetPayslipRequest(payslip_id=str(payslip_id)))
        await self._relations.allow(action, UUID(answer.payslip.summary.employee_id), missing="PAYSLIP_NOT_FOUND")
        return answer.payslip

    async def payments(self, run_id: UUID, query: PageQuery) -> Page[schemas.PaymentView]:
        """The payments of a final run."""
        allow("payment.read")
        answer = await self._calls.read(
            self._runs.ListPayments,
            wire.ListPaymentsRequest(run_id=str(run_id), page_size=query.limit, page_token=query.cursor),
        )
        return Page[schemas.PaymentView].model_construct(
            data=[codec.payment_view(each) for each in answer.payments], next_cursor=answer.next_page_token or None
        )

    async def arrange_payments(self, run_id: UUID) -> schemas.RunView:
        """Split the net pay of a final run over bank accounts; the first page is the caller's write."""
        allow("payment.arrange")
        run = await self._run(run_id)
        process = payroll_process(current_exchange().caller.tenant_id)
        known_at = await self._settled(run.pay_group)
        pages = 0
        async for splits in BankFile(self._calls, self._people, process).splits(run, known_at):
            request = wire.ArrangePaymentsRequest(run_id=run.run_id, accounts_known_at=known_at, splits=splits)
            if not pages:
                await self._calls.write(self._runs.ArrangePayments, request)
            else:
                id = derived_id(run.run_id, "arrange", from_instant(known_at), pages)
                await self._calls.write_as(process, self._runs.ArrangePayments, request, id)
            pages += 1
        if not pages:
            empty = wire.ArrangePaymentsRequest(run_id=run.run_id, accounts_known_at=known_at)
            await self._calls.write(self._runs.ArrangePayments, empty)
        return self._versioned(await self._run(run_id))

    async def bank_file(self, run_id: UUID, query: schemas.TableQuery) -> CsvResponse:
        """The pending payments of a final run with their accounts, sent while they are read."""
        allow("payment.export")
        file = BankFile(self._calls, self._people, current_exchange().caller)
        return await file.of(await self._run(run_id), bom=query.bom == "true")

    async def settle_payments(self, run_id: UUID, body: schemas.SettleBody) -> schemas.RunView:
        """These payments were paid out."""
        allow("payment.settle")
        answer = await self._calls.write(
            self._runs.SettlePayments,
            wire.SettlePaymentsRequest(
                run_id=str(run_id),
                employee_ids=[str(each) for each in body.employees],
                payment_ids=[str(each) for each in body.payments],
            ),
        )
        return self._versioned(answer.run)

    async def return_payments(self, run_id: UUID, body: schemas.ReturnBody) -> schemas.RunView:
        """These payments were not paid out, or given back."""
        allow("payment.settle")
        answer = await self._calls.write(
            self._runs.ReturnPayments,
            wire.ReturnPaymentsRequest(
                run_id=str(run_id),
                employee_ids=[str(each) for each in body.employees],
                payment_ids=[str(each) for each in body.payments],
                reason=body.reason,
            ),
        )
        return self._versioned(answer.run)

    async def variances(self, run_id: UUID, query: PageQuery) -> schemas.VariancePage:
        """What changed against the regular run before."""
        allow("payroll_run.read")
        answer = await self._calls.read(
            self._runs.ListVariances,
            wire.ListVariancesRequest(run_id=str(run_id), page_size=query.limit, page_token=query.cursor),
        )
        return schemas.VariancePage.model_construct(
            data=[codec.employee_variance_view(each) for each in answer.employees],
            next_cursor=answer.next_page_token or None,
            previous_run_id=optional_id(answer.previous_run_id),
        )

    async def register(self, run_id: UUID, query: schemas.TableQuery) -> CsvResponse:
        """The register of a run, sent while it is read."""
        allow("payroll_run.export")
        register = Register(self._calls, self._people, current_exchange().caller, to_date(await self._tenants.today()))
        return await register.of(run_id, bom=query.bom == "true")

    async def _run(self, run_id: UUID) -> wire.PayrollRun:
        answer = await self._calls.read(self._runs.GetPayrollRun, wire.GetPayrollRunRequest(run_id=str(run_id)))
        return answer.run

    @staticmethod
    def _versioned(run: wire.PayrollRun) -> schemas.RunView:
        current_exchange().has_version(run.etag)
        return codec.run_view(run)
