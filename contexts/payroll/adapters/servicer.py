"""Payroll's gRPC services: decode, run the handler, encode."""

import asyncio
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, cast
from uuid import UUID

import orjson
from google.protobuf.message import Message
from muster.payroll.v1 import payroll_catalog_pb2 as cpb
from muster.payroll.v1 import payroll_catalog_pb2_grpc, payroll_run_pb2_grpc
from muster.payroll.v1 import payroll_run_pb2 as pb

from chassis.database import Database
from chassis.paging import from_token, page_size, to_token
from chassis.principal import current_call
from chassis.unit_of_work import Commands, Queries
from contexts.payroll.adapters import codec
from contexts.payroll.adapters.calculation import replay
from contexts.payroll.adapters.chunk_service import Calculations, Chunks, InputsKeepMoving, payslip_ids
from contexts.payroll.adapters.facts import employee_of
from contexts.payroll.adapters.reports import Reports
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.errors import Blocked, FactsInvalid, PayslipLineNotFound
from contexts.payroll.domain.explanation import explain, explain_reversed
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.opening import OpeningBalance, OpeningSource
from contexts.payroll.domain.pay_input import PayInputId
from contexts.payroll.domain.payment import PaymentId, PaymentStatus
from contexts.payroll.domain.payroll_run import LEASE_S, RunId
from contexts.payroll.domain.payslip import ChunkResult, Payslip, PayslipId, content_hash, without_places
from contexts.payroll.handlers import catalog, chunks, inputs, opening, payments, queries, reversal, runs
from contexts.payroll.repository.documents import canonical, line_amounts
from contexts.payroll.repository.port import ChunkWork, PayrollReading, PlacesTaken, RunView, SlotsInTheWay
from kernel.clock import Clock
from kernel.errors import InvalidValue
from kernel.ids import EmployeeId

TRIES = 3


class PayrollCatalogServicer(payroll_catalog_pb2_grpc.PayrollCatalogServiceServicer):
    """Pay groups, their periods, and pay components."""

    def __init__(self, commands: "Commands[Any]", queries: Queries[PayrollReading]) -> None:
        self._commands = commands
        self._queries = queries

    async def PutPayGroup(self, request: cpb.PutPayGroupRequest, context: Any) -> cpb.PutPayGroupResponse:
        """See the proto."""
        group, seen = codec.pay_group_from(request.pay_group), codec.version_from(request.etag)
        answer = await self._commands.run(
            lambda work: catalog.put_pay_group(group, seen, work),
            lambda done: cpb.PutPayGroupResponse(
                pay_group=codec.pay_group_to(done.pay_groups[0]), catalog_version=done.catalog_version
            ),
        )
        return cast(cpb.PutPayGroupResponse, answer)

    async def GetPayGroup(self, request: cpb.GetPayGroupRequest, context: Any) -> cpb.GetPayGroupResponse:
        """See the proto."""
        day = codec.optional_date_from(request, "as_of")
        found = await self._queries.run(
            lambda view: catalog.get_pay_group(request.code, day, request.catalog_version, view)
        )
        return cpb.GetPayGroupResponse(
            pay_group=codec.pay_group_to(found.pay_groups[0]), catalog_version=found.catalog_version
        )

    async def ListPayGroups(self, request: cpb.ListPayGroupsRequest, context: Any) -> cpb.ListPayGroupsResponse:
        """See the proto."""
        day, limit = codec.optional_date_from(request, "as_of"), page_size(request.page_size)
        after = _after_code(request.page_token)
        found = await self._queries.run(lambda view: catalog.list_pay_groups(day, after, limit, view))
        full = len(found.pay_groups) == limit
        return cpb.ListPayGroupsResponse(
            pay_groups=[codec.pay_group_to(group) for group in found.pay_groups],
            next_page_token=to_token(found.pay_groups[-1].code) if full else "",
            catalog_version=found.catalog_version,
        )

    async def ListPayPeriods(self, request: cpb.ListPayPeriodsRequest, context: Any) -> cpb.ListPayPeriodsResponse:
        """See the proto."""
        first = codec.date_from(request.from_date, "from_date")
        last = codec.date_from(request.to_date, "to_date")
        if last < first:
            raise InvalidValue("the last day is not before the first", field="to_date")
        found = await self._queries.run(lambda view: catalog.list_pay_periods(request.pay_group, first, last, view))
        return cpb.ListPayPeriodsResponse(pay_periods=[codec.pay_period_to(period) for period in found])

    async def GetPayPeriod(self, request: cpb.GetPayPeriodRequest, context: Any) -> cpb.GetPayPeriodResponse:
        """See the proto."""
        found = await self._queries.run(lambda view: catalog.get_pay_period(request.pay_group, request.name, view))
        return cpb.GetPayPeriodResponse(pay_period=codec.pay_period_to(found))

    async def PutPayComponent(self, request: cpb.PutPayComponentRequest, context: Any) -> cpb.PutPayComponentResponse:
        """See the proto."""
        component, seen = codec.component_from(request.component), codec.version_from(request.etag)
        answer = await self._commands.run(
            lambda work: catalog.put_component(component, seen, work),
            lambda done: cpb.PutPayComponentResponse(
                component=codec.component_to(done.components[0]), catalog_version=done.catalog_version
            ),
        )
        return cast(cpb.PutPayComponentResponse, answer)

    async def AdoptStandardComponents(
        self, request: cpb.AdoptStandardComponentsRequest, context: Any
    ) -> cpb.AdoptStandardComponentsResponse:
        """See the proto."""
        day = codec.date_from(request.effective_date, "effective_date")
        answer = await self._commands.run(
            lambda work: catalog.adopt_standard_components(request.country, day, work),
            lambda done: cpb.AdoptStandardComponentsResponse(
                components=[codec.component_to(component) for component in done.components],
                catalog_version=done.catalog_version,
            ),
        )
        return cast(cpb.AdoptStandardComponentsResponse, answer)

    async def GetPayComponent(self, request: cpb.GetPayComponentRequest, context: Any) -> cpb.GetPayComponentResponse:
        """See the proto."""
        day = codec.optional_date_from(request, "as_of")
        found = await self._queries.run(
            lambda view: catalog.get_component(request.code, day, request.catalog_version, view)
        )
        return cpb.GetPayComponentResponse(
            component=codec.component_to(found.components[0]), catalog_version=found.catalog_version
        )

    async def ListPayComponents(
        self, request: cpb.ListPayComponentsRequest, context: Any
    ) -> cpb.ListPayComponentsResponse:
        """See the proto."""
        day, limit = codec.optional_date_from(request, "as_of"), page_size(request.page_size)
        after = _after_code(request.page_token)
        found = await self._queries.run(
            lambda view: catalog.list_components(day, request.catalog_version, after, limit, view)
        )
        full = len(found.components) == limit
        return cpb.ListPayComponentsResponse(
            components=[codec.component_to(component) for component in found.components],
            next_page_token=to_token(found.components[-1].code) if full else "",
            catalog_version=found.catalog_version,
        )


class PayrollRunServicer(payroll_run_pb2_grpc.PayrollRunServiceServicer):
    """Runs, payslips and pay inputs."""

    def __init__(
        self,
        commands: "Commands[Any]",
        queries: Queries[PayrollReading],
        calculations: Calculations,
        chunk_writer: Chunks,
        database: Database,
        clock: Clock,
        settle_margin_s: float,
        reports: Reports,
    ) -> None:
        self._commands = commands
        self._queries = queries
        self._calculations = calculations
        self._chunks = chunk_writer
        self._database = database
        self._clock = clock
        self._settle_margin = timedelta(seconds=settle_margin_s)
        self._reports = reports

    # -------------------------------------------------------------------------------------------------------- runs

    async def ImportOpeningBalances(
        self, request: pb.ImportOpeningBalancesRequest, context: Any
    ) -> pb.ImportOpeningBalancesResponse:
        """See the proto."""
        cmd = opening.ImportOpeningBalances(
            pay_group=request.pay_group,
            period=request.period,
            pay_date=codec.optional_date_from(request, "pay_date"),
            source=OpeningSource(request.source, codec.date_from(request.source_date, "source_date")),
            balances=[
                OpeningBalance(EmployeeId(UUID(balance.employee_id)), dict(balance.totals))
                for balance in request.balances
            ],
        )
        answer = await self._commands.run(
            lambda work: opening.import_opening_balances(cmd, work, canonical),
            lambda view: pb.ImportOpeningBalancesResponse(run=codec.run_to(view)),
        )
        return cast(pb.ImportOpeningBalancesResponse, answer)

    async def CreatePayrollRun(self, request: pb.CreatePayrollRunRequest, context: Any) -> pb.CreatePayrollRunResponse:
        """See the proto."""
        cmd = runs.CreatePayrollRun(request.pay_group, request.period, codec.run_request_from(request))
        answer = await self._commands.run(
            lambda work: runs.create_run(cmd, work),
            lambda view: pb.CreatePayrollRunResponse(run=codec.run_to(view)),
        )
        return cast(pb.CreatePayrollRunResponse, answer)

    async def GetPayrollRun(self, request: pb.GetPayrollRunRequest, context: Any) -> pb.GetPayrollRunResponse:
        """See the proto."""
        run_id = RunId(UUID(request.run_id))
        view = await self._queries.run(lambda reading: queries.get_run(run_id, reading))
        return pb.GetPayrollRunResponse(run=codec.run_to(view))

    async def ListPayrollRuns(self, request: pb.ListPayrollRunsRequest, context: Any) -> pb.ListPayrollRunsResponse:
        """See the proto."""
        limit, status = page_size(request.page_size), codec.run_status_from(request.status)
        token = from_token(request.page_token, [str])
        after = RunId(codec.uuid_from(str(token[0]), "page_token")) if token is not None else None
        found = await self._queries.run(lambda view: view.runs(request.pay_group, request.period, status, after, limit))
        return pb.ListPayrollRunsResponse(
            runs=[codec.run_to(view) for view in found],
            next_page_token=to_token(str(found[-1].state.id)) if len(found) == limit else "",
        )

    async def StartCalculation(self, request: pb.StartCalculationRequest, context: Any) -> pb.StartCalculationResponse:
        """See the proto."""
        cmd = runs.StartCalculation(
            RunId(UUID(request.run_id)),
            codec.version_from(request.etag),
            codec.optional_instant_from(request, "input_cutoff"),
            await self._database.now() - self._settle_margin,
        )
        answer = await self._commands.run(
            lambda work: runs.start_calculation(cmd, work, canonical),
            lambda view: pb.StartCalculationResponse(run=codec.run_to(view)),
        )
        self._calculations.expect_work()
        return cast(pb.StartCalculationResponse, answer)

    async def ClaimCalculation(self, request: pb.ClaimCalculationRequest, context: Any) -> pb.ClaimCalculationResponse:
        """See the proto."""
        cmd = runs.ClaimCalculation(
            RunId(UUID(request.run_id)),
            request.worker_id,
            codec.positions_from(request.source_positions),
            await self._database.now(),
        )
        answer = await self._commands.run(lambda work: runs.claim_calculation(cmd, work), _claimed)
        return cast(pb.ClaimCalculationResponse, answer)

    async def GiveBackCalculation(
        self, request: pb.GiveBackCalculationRequest, context: Any
    ) -> pb.GiveBackCalculationResponse:
        """See the proto."""
        cmd = runs.GiveBackCalculation(RunId(UUID(request.run_id)), request.fence, request.reason)
        answer = await self._commands.run(
            lambda work: runs.give_back_calculation(cmd, work), lambda _: pb.GiveBackCalculationResponse()
        )
        return cast(pb.GiveBackCalculationResponse, answer)

    async def SubmitChunk(self, request: pb.SubmitChunkRequest, context: Any) -> pb.SubmitChunkResponse:
        """See the proto."""
        stored = await self._chunks.submit(request)
        chunk = stored.chunk
        return pb.SubmitChunkResponse(
            chunk_no=chunk.chunk_no,
            facts_hash=chunk.facts_hash.hex(),
            results_hash=chunk.results_hash.hex(),
            payslip_count=chunk.totals.payslip_count,
            blocked_count=chunk.totals.blocked_count,
            run_status=codec.run_status_to(stored.status),
            lease_s=LEASE_S,
            done_count=stored.done,
        )

    async def RecalculateEmployees(
        self, request: pb.RecalculateEmployeesRequest, context: Any
    ) -> pb.RecalculateEmployeesResponse:
        """See the proto."""
        call = current_call()
        run_id, known_at = RunId(UUID(request.run_id)), codec.instant_from(request.known_at, "known_at")
        employees = tuple(EmployeeId(employee_of(facts)) for facts in request.facts)
        gone = tuple(EmployeeId(codec.uuid_from(id, "gone_employee_ids")) for id in request.gone_employee_ids)
        if not employees and not gone:
            raise FactsInvalid("name an employee", field="facts")
        for _ in range(TRIES):
            work, result = await self._calculations.calculate(call, run_id, request.facts, employees, known_at)
            try:
                return await self._recalculated(request, run_id, employees, gone, known_at, work, result)
            except (chunks.InputsMoved, SlotsInTheWay):
                continue
        raise InputsKeepMoving("pay inputs of these employees keep changing; try again")

    async def _recalculated(
        self,
        request: pb.RecalculateEmployeesRequest,
        run_id: RunId,
        employees: tuple[EmployeeId, ...],
        gone: tuple[EmployeeId, ...],
        known_at: datetime,
        work: ChunkWork,
        result: ChunkResult,
    ) -> pb.RecalculateEmployeesResponse:
        amounts_of = partial(line_amounts, currency=work.run.currency)

        async def store(result: ChunkResult) -> Message:
            cmd = chunks.RecalculateEmployees(
                run_id,
                codec.version_from(request.etag),
                employees,
                gone,
                result,
                work.inputs,
                payslip_ids(self._clock.now(), len(result.payslips)),
                known_at,
            )
            return await self._commands.run(
                lambda unit: chunks.recalculate_employees(cmd, unit, amounts_of), _recalculated
            )

        try:
            answer = await store(result)
        except PlacesTaken as taken:
            answer = await store(without_places(result, taken.holders, amounts_of))
        return cast(pb.RecalculateEmployeesResponse, answer)

    async def RefreshInputs(self, request: pb.RefreshInputsRequest, context: Any) -> pb.RefreshInputsResponse:
        """See the proto."""
        cmd = runs.RefreshInputs(
            RunId(UUID(request.run_id)),
            [
                runs.InputChange(
                    EmployeeId(UUID(change.employee_id)),
                    change.reason,
                    codec.optional_instant_from(change, "record_time"),
                )
                for change in request.changes
            ],
            codec.positions_from(request.source_positions),
        )
        answer = await self._commands.run(
            lambda work: runs.refresh_inputs(cmd, work),
            lambda done: pb.RefreshInputsResponse(run=codec.run_to(done[0]), newly_stale_count=done[1]),
        )
        return cast(pb.RefreshInputsResponse, answer)

    async def DeferEmployees(self, request: pb.DeferEmployeesRequest, context: Any) -> pb.DeferEmployeesResponse:
        """See the proto."""
        run_id, seen = RunId(UUID(request.run_id)), codec.version_from(request.etag)
        employees = [EmployeeId(UUID(id)) for id in request.employee_ids]
        answer = await self._commands.run(
            lambda work: runs.defer_employees(run_id, seen, employees, work),
            lambda view: pb.DeferEmployeesResponse(run=codec.run_to(view)),
        )
        return cast(pb.DeferEmployeesResponse, answer)

    async def ApprovePayrollRun(
        self, request: pb.ApprovePayrollRunRequest, context: Any
    ) -> pb.ApprovePayrollRunResponse:
        """See the proto."""
        cmd = runs.ApprovePayrollRun(
            RunId(UUID(request.run_id)),
            codec.version_from(request.etag),
            request.calculation_hash,
            request.accept_changes_as_retro,
        )
        answer = await self._commands.run(
            lambda work: runs.approve_run(cmd, work),
            lambda view: pb.ApprovePayrollRunResponse(run=codec.run_to(view)),
        )
        return cast(pb.ApprovePayrollRunResponse, answer)

    async def FinalizePayrollRun(
        self, request: pb.FinalizePayrollRunRequest, context: Any
    ) -> pb.FinalizePayrollRunResponse:
        """See the proto."""
        run_id, seen = RunId(UUID(request.run_id)), codec.version_from(request.etag)
        answer = await self._commands.run(
            lambda work: runs.finalize_run(run_id, seen, work),
            lambda view: pb.FinalizePayrollRunResponse(run=codec.run_to(view)),
        )
        return cast(pb.FinalizePayrollRunResponse, answer)

    async def VoidPayrollRun(self, request: pb.VoidPayrollRunRequest, context: Any) -> pb.VoidPayrollRunResponse:
        """See the proto."""
        run_id, seen = RunId(UUID(request.run_id)), codec.version_from(request.etag)
        answer = await self._commands.run(
            lambda work: runs.void_run(run_id, seen, request.reason, work),
            lambda view: pb.VoidPayrollRunResponse(run=codec.run_to(view)),
        )
        return cast(pb.VoidPayrollRunResponse, answer)

    async def ReversePayrollRun(
        self, request: pb.ReversePayrollRunRequest, context: Any
    ) -> pb.ReversePayrollRunResponse:
        """See the proto."""
        cmd = reversal.ReversePayrollRun(
            RunId(UUID(request.run_id)),
            codec.version_from(request.etag),
            request.reason,
            codec.date_from(request.reversal_date, "reversal_date"),
            request.recover_settled,
            await self._database.now() - self._settle_margin,
        )
        answer = await self._commands.run(
            lambda work: reversal.reverse_run(cmd, work, canonical),
            lambda view: pb.ReversePayrollRunResponse(run=codec.run_to(view)),
        )
        return cast(pb.ReversePayrollRunResponse, answer)

    async def SubmitReversalChunk(
        self, request: pb.SubmitReversalChunkRequest, context: Any
    ) -> pb.SubmitReversalChunkResponse:
        """See the proto."""
        stored = await self._chunks.take_back(request)
        last = stored.chunk.last_id
        return pb.SubmitReversalChunkResponse(
            run_status=codec.run_status_to(stored.status),
            last_employee_id="" if stored.chunk.last or last is None else str(last),
        )

    async def ArrangePayments(self, request: pb.ArrangePaymentsRequest, context: Any) -> pb.ArrangePaymentsResponse:
        """See the proto."""
        cmd = payments.ArrangePayments(
            RunId(UUID(request.run_id)),
            codec.version_from(request.etag),
            codec.instant_from(request.accounts_known_at, "accounts_known_at"),
            {
                EmployeeId(UUID(split.employee_id)): [codec.split_part_from(part) for part in split.parts]
                for split in request.splits
            },
        )
        answer = await self._commands.run(
            lambda work: payments.arrange_payments(cmd, work),
            lambda view: pb.ArrangePaymentsResponse(run=codec.run_to(view)),
        )
        return cast(pb.ArrangePaymentsResponse, answer)

    async def SettlePayments(self, request: pb.SettlePaymentsRequest, context: Any) -> pb.SettlePaymentsResponse:
        """See the proto."""
        cmd = _recording(request, PaymentStatus.SETTLED, "")
        answer = await self._commands.run(
            lambda work: payments.record_payments(cmd, work),
            lambda view: pb.SettlePaymentsResponse(run=codec.run_to(view)),
        )
        return cast(pb.SettlePaymentsResponse, answer)

    async def ReturnPayments(self, request: pb.ReturnPaymentsRequest, context: Any) -> pb.ReturnPaymentsResponse:
        """See the proto."""
        cmd = _recording(request, PaymentStatus.RETURNED, request.reason)
        answer = await self._commands.run(
            lambda work: payments.record_payments(cmd, work),
            lambda view: pb.ReturnPaymentsResponse(run=codec.run_to(view)),
        )
        return cast(pb.ReturnPaymentsResponse, answer)

    async def ListPayments(self, request: pb.ListPaymentsRequest, context: Any) -> pb.ListPaymentsResponse:
        """See the proto."""
        run_id, limit = RunId(UUID(request.run_id)), page_size(request.page_size)
        token = from_token(request.page_token, [str, int])
        after = None
        if token is not None:
            after = (EmployeeId(codec.uuid_from(str(token[0]), "page_token")), int(token[1] or 0))
        found = await self._queries.run(lambda view: view.payments(run_id, after, limit))
        return pb.ListPaymentsResponse(
            payments=[codec.payment_to(payment) for payment in found],
            next_page_token=to_token(str(found[-1].employee_id), found[-1].split) if len(found) == limit else "",
        )

    # ---------------------------------------------------------------------------------------------------- payslips

    async def ListPayslips(self, request: pb.ListPayslipsRequest, context: Any) -> pb.ListPayslipsResponse:
        """See the proto."""
        limit = page_size(request.page_size)
        if request.run_id and request.employee_id:
            raise InvalidValue("list by run or by employee; for both take GetPayslip", field="employee_id")
        if request.run_id:
            run_id = RunId(codec.uuid_from(request.run_id, "run_id"))
            token = from_token(request.page_token, [str])
            after = EmployeeId(codec.uuid_from(str(token[0]), "page_token")) if token is not None else None
            found = await self._queries.run(lambda view: view.payslips_of_run(run_id, after, limit))
            following = to_token(str(found[-1].employee_id)) if len(found) == limit else ""
        elif request.employee_id:
            employee = EmployeeId(codec.uuid_from(request.employee_id, "employee_id"))
            token = from_token(request.page_token, [str, str])
            place = _place(token) if token is not None else None
            found = await self._queries.run(
                lambda view: view.payslips_of_employee(employee, request.tax_year, request.finalized_only, place, limit)
            )
            following = ""
            if len(found) == limit:
                following = to_token(found[-1].pay_date.isoformat(), str(found[-1].run_id))
        else:
            raise InvalidValue("name a run or an employee", field="run_id")
        return pb.ListPayslipsResponse(
            payslips=[codec.summary_to(summary) for summary in found], next_page_token=following
        )

    async def GetPayslip(self, request: pb.GetPayslipRequest, context: Any) -> pb.GetPayslipResponse:
        """See the proto."""
        tenant = current_call().tenant_id

        async def read(view: PayrollReading) -> tuple[Payslip, RunView, Plan]:
            if request.payslip_id:
                payslip = await view.payslip(PayslipId(codec.uuid_from(request.payslip_id, "payslip_id")))
            elif request.run_id and request.employee_id:
                payslip = await view.payslip_of(
                    RunId(codec.uuid_from(request.run_id, "run_id")),
                    EmployeeId(codec.uuid_from(request.employee_id, "employee_id")),
                )
            else:
                raise InvalidValue("name a payslip, or a run and an employee", field="payslip_id")
            run = await view.run(payslip.summary.run_id)
            source = await self._calculations.source_of(tenant, run.state, view)
            return payslip, run, await asyncio.to_thread(source.plan)

        payslip, run, plan = await self._queries.run(read)
        header = orjson.loads(run.state.header)
        return pb.GetPayslipResponse(payslip=codec.payslip_to(payslip, header, codec.component_names(plan)))

    async def GetPayslipLineTrace(
        self, request: pb.GetPayslipLineTraceRequest, context: Any
    ) -> pb.GetPayslipLineTraceResponse:
        """See the proto."""
        payslip, run, plan = await self._with_plan(request.payslip_id)
        line = next((line for line in orjson.loads(payslip.lines) if line["code"] == request.code), None)
        if line is None:
            raise PayslipLineNotFound("the payslip has no line of this component", field="code", code=request.code)
        header = Header.of_document(orjson.loads(run.state.header))
        facts = orjson.loads(payslip.inputs)["facts"]
        taken_back = run.state.reverses is not None
        told = explain_reversed(facts, line) if taken_back else explain(plan, header, facts, line)
        return pb.GetPayslipLineTraceResponse(
            line=codec.line_to(line, payslip.summary.currency, codec.component_names(plan)),
            steps=codec.steps_to(told),
            formula=told.formula,
        )

    async def ReplayPayslip(self, request: pb.ReplayPayslipRequest, context: Any) -> pb.ReplayPayslipResponse:
        """See the proto."""
        payslip, run, plan = await self._with_plan(request.payslip_id)
        stored = payslip.summary.content_hash
        header = run.state.header
        try:
            lines, to_date = await asyncio.to_thread(replay, plan, header, payslip.inputs)
        except Blocked as blocked:
            return pb.ReplayPayslipResponse(
                matches=False, stored_hash=stored.hex(), differing_lines=[f"BLOCKED {blocked.reason}"]
            )
        replayed = content_hash(header, payslip.inputs, lines, to_date)
        return pb.ReplayPayslipResponse(
            matches=replayed == stored and lines == payslip.lines and to_date == payslip.year_to_date,
            stored_hash=stored.hex(),
            replayed_hash=replayed.hex(),
            differing_lines=_differing(payslip.lines, lines),
        )

    async def _with_plan(self, payslip_id: str) -> tuple[Payslip, RunView, Plan]:
        tenant, id = current_call().tenant_id, PayslipId(UUID(payslip_id))

        async def read(view: PayrollReading) -> tuple[Payslip, RunView, Plan]:
            payslip = await view.payslip(id)
            run = await view.run(payslip.summary.run_id)
            source = await self._calculations.source_of(tenant, run.state, view)
            return payslip, run, await asyncio.to_thread(source.plan)

        return await self._queries.run(read)

    async def ListBlockers(self, request: pb.ListBlockersRequest, context: Any) -> pb.ListBlockersResponse:
        """See the proto."""
        run_id, limit = RunId(UUID(request.run_id)), page_size(request.page_size)
        token = from_token(request.page_token, [str, int])
        after = None
        if token is not None:
            after = (EmployeeId(codec.uuid_from(str(token[0]), "page_token")), int(token[1] or 0))
        found = await self._queries.run(lambda view: view.blockers(run_id, after, limit))
        return pb.ListBlockersResponse(
            blockers=[
                pb.Blocker(
                    employee_id=str(one.employee_id),
                    reason=one.reason,
                    message=one.message,
                    subject=one.subject,
                    deferred=one.deferred,
                )
                for one in found
            ],
            next_page_token=to_token(str(found[-1].employee_id), found[-1].ordinal) if len(found) == limit else "",
        )

    async def ListStalePayslips(
        self, request: pb.ListStalePayslipsRequest, context: Any
    ) -> pb.ListStalePayslipsResponse:
        """See the proto."""
        run_id, limit = RunId(UUID(request.run_id)), page_size(request.page_size)
        token = from_token(request.page_token, [str])
        after = EmployeeId(codec.uuid_from(str(token[0]), "page_token")) if token is not None else None
        found = await self._queries.run(lambda view: view.stale_payslips(run_id, after, limit))
        return pb.ListStalePayslipsResponse(
            stale_payslips=[
                pb.StalePayslip(employee_id=str(one.employee_id), reasons=one.reasons, left_to_retro=one.left_to_retro)
                for one in found
            ],
            next_page_token=to_token(str(found[-1].employee_id)) if len(found) == limit else "",
        )

    async def ListComponentTotals(
        self, request: pb.ListComponentTotalsRequest, context: Any
    ) -> pb.ListComponentTotalsResponse:
        """See the proto."""
        tenant, run_id = current_call().tenant_id, RunId(UUID(request.run_id))

        async def read(view: PayrollReading) -> pb.ListComponentTotalsResponse:
            run = await view.run(run_id)
            sums = await view.component_totals(run_id)
            source = await self._calculations.source_of(tenant, run.state, view)
            plan = await asyncio.to_thread(source.plan)
            return pb.ListComponentTotalsResponse(
                totals=[
                    pb.ComponentTotal(
                        code=component.code,
                        kind=codec.line_kind_to(component.kind),
                        amount=codec.money_to(sums[component.code].amount, run.state.currency),
                        line_count=sums[component.code].lines,
                    )
                    for component in plan.components
                    if component.code in sums
                ]
            )

        return await self._queries.run(read)

    async def ListVariances(self, request: pb.ListVariancesRequest, context: Any) -> pb.ListVariancesResponse:
        """See the proto."""
        return await self._reports.variances(request)

    async def ListRegisterRows(self, request: pb.ListRegisterRowsRequest, context: Any) -> pb.ListRegisterRowsResponse:
        """See the proto."""
        return await self._reports.register(request)

    # ------------------------------------------------------------------------------------------------------ inputs

    async def CreatePayInput(self, request: pb.CreatePayInputRequest, context: Any) -> pb.CreatePayInputResponse:
        """See the proto."""
        cmd = inputs.CreatePayInput(
            employee_id=EmployeeId(UUID(request.employee_id)),
            pay_group=request.pay_group,
            period=request.period,
            component=request.component,
            amount=codec.money_from(request.amount),
            quantity=Decimal(request.quantity) if request.quantity else None,
            reason=request.reason,
            run_kind=codec.run_kind_from(request.run_kind),
            recurring=request.recurring,
            last_period=request.last_period,
        )
        answer = await self._commands.run(
            lambda work: inputs.create_pay_input(cmd, work),
            lambda state: pb.CreatePayInputResponse(pay_input=codec.pay_input_to(state)),
        )
        return cast(pb.CreatePayInputResponse, answer)

    async def CancelPayInput(self, request: pb.CancelPayInputRequest, context: Any) -> pb.CancelPayInputResponse:
        """See the proto."""
        id, seen = PayInputId(UUID(request.pay_input_id)), codec.version_from(request.etag)
        answer = await self._commands.run(
            lambda work: inputs.cancel_pay_input(id, seen, work),
            lambda state: pb.CancelPayInputResponse(pay_input=codec.pay_input_to(state)),
        )
        return cast(pb.CancelPayInputResponse, answer)

    async def EndPayInput(self, request: pb.EndPayInputRequest, context: Any) -> pb.EndPayInputResponse:
        """See the proto."""
        id, seen = PayInputId(UUID(request.pay_input_id)), codec.version_from(request.etag)
        answer = await self._commands.run(
            lambda work: inputs.end_pay_input(id, seen, request.last_period, work),
            lambda state: pb.EndPayInputResponse(pay_input=codec.pay_input_to(state)),
        )
        return cast(pb.EndPayInputResponse, answer)

    async def ListPayInputs(self, request: pb.ListPayInputsRequest, context: Any) -> pb.ListPayInputsResponse:
        """See the proto."""
        limit = page_size(request.page_size)
        employee = EmployeeId(codec.uuid_from(request.employee_id, "employee_id")) if request.employee_id else None
        token = from_token(request.page_token, [str])
        after = PayInputId(codec.uuid_from(str(token[0]), "page_token")) if token is not None else None
        found = await self._queries.run(
            lambda view: view.pay_inputs(employee, request.pay_group, request.period, after, limit)
        )
        return pb.ListPayInputsResponse(
            pay_inputs=[codec.pay_input_to(state) for state in found],
            next_page_token=to_token(str(found[-1].id)) if len(found) == limit else "",
        )


def _recording(
    request: pb.SettlePaymentsRequest | pb.ReturnPaymentsRequest, outcome: PaymentStatus, reason: str
) -> payments.RecordPayments:
    return payments.RecordPayments(
        RunId(UUID(request.run_id)),
        codec.version_from(request.etag),
        [EmployeeId(UUID(id)) for id in request.employee_ids],
        [PaymentId(UUID(id)) for id in request.payment_ids],
        outcome,
        reason,
    )


def _after_code(token: str) -> str:
    keys = from_token(token, [str])
    return str(keys[0]) if keys is not None else ""


def _place(token: tuple[Any, ...]) -> tuple[date, RunId]:
    try:
        return date.fromisoformat(str(token[0])), RunId(codec.uuid_from(str(token[1]), "page_token"))
    except ValueError:
        raise InvalidValue("take the cursor from the page before, unchanged", field="page_token") from None


def _claimed(claimed: runs.Claimed) -> pb.ClaimCalculationResponse:
    state = claimed.run.state
    answer = pb.ClaimCalculationResponse(
        run_id=str(state.id),
        attempt=state.attempt,
        fence=claimed.lease.fence,
        next_chunk_no=claimed.next_chunk_no,
        after_employee_id="" if claimed.after_id is None else str(claimed.after_id),
        lease_s=LEASE_S,
        run=codec.run_to(claimed.run),
    )
    if state.input_cutoff is not None:
        answer.known_at.CopyFrom(codec.instant_to(state.input_cutoff))
    return answer


def _recalculated(done: tuple[RunView, int, int]) -> pb.RecalculateEmployeesResponse:
    return pb.RecalculateEmployeesResponse(run=codec.run_to(done[0]), payslip_count=done[1], blocked_count=done[2])


def _differing(stored: bytes, replayed: bytes) -> list[str]:
    before = {line["code"]: line for line in orjson.loads(stored)} if stored else {}
    after = {line["code"]: line for line in orjson.loads(replayed)}
    return sorted(code for code in {*before, *after} if before.get(code) != after.get(code))
