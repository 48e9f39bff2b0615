"""Payroll for tests: facts of employees as the application would send them, components, and a running service."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.payroll.v1 import employee_facts_pb2 as facts_pb
from muster.payroll.v1 import payroll_catalog_pb2 as cpb
from muster.payroll.v1 import payroll_catalog_pb2_grpc, payroll_run_pb2_grpc
from muster.payroll.v1 import payroll_run_pb2 as pb

from chassis.assertion import Signer
from chassis.lifecycle import Listener
from chassis.principal import Principal
from chassis.rpc.channels import Channels, Client
from chassis.service import DataService
from chassis.settings import Settings
from contexts.payroll.domain.catalog import FormulaScope, LineKind, PayComponent, Proration, TaxTreatment
from contexts.payroll.domain.countries import statutory_of
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.standard_components import standard_components
from contexts.payroll.main import SERVICE
from kernel.ids import TenantId
from kernel.money import Rounding

NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)
EPOCH = date(1970, 1, 1)
GROUP = "CN-MONTHLY"
PROFILE = {
    "social_insurance_city": "SHANGHAI",
    "social_insurance_base": "20000",
    "housing_fund_base": "20000",
    "housing_fund_rate": "0.07",
    "injury_rate": "0.002",
}


def day_to(day: date) -> Date:
    """A civil date on the wire."""
    return Date(year=day.year, month=day.month, day=day.day)


def instant_to(instant: datetime) -> Timestamp:
    """An instant on the wire."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def weekdays(start: date, end: date) -> str:
    """One digit per day: 1 from Monday to Friday."""
    days = (end - start).days
    return "".join("1" if (start + timedelta(days=offset)).weekday() < 5 else "0" for offset in range(days))


@dataclass(frozen=True)
class Facts:
    """What the application sends of one employee, made step by step."""

    employee_id: UUID = field(default_factory=uuid4)
    assignment_id: UUID = field(default_factory=uuid4)
    start: date = NOVEMBER
    end: date = DECEMBER
    segments: tuple[facts_pb.PaySegment, ...] = ()
    lines: tuple[facts_pb.TimeLine, ...] = ()
    values: tuple[tuple[str, str], ...] = tuple(PROFILE.items())
    country: str = "CN"
    blockers: tuple[tuple[str, str], ...] = ()

    def paid(
        self,
        amount: str,
        first: date | None = None,
        until: date | None = None,
        unit: int = facts_pb.COMPENSATION_UNIT_MONTH,
        currency: str = "CNY",
        planned: str | None = None,
        assignment_id: UUID | None = None,
        **allowances: str,
    ) -> "Facts":
        """A wage from a day until (not including) another."""
        segment = facts_pb.PaySegment(
            assignment_id=str(assignment_id or self.assignment_id),
            start_date=day_to(first or self.start),
            end_date=day_to(until or self.end),
            compensation_amount=amount,
            compensation_unit=unit,  # type: ignore[arg-type]
            currency=currency,
            fte="1",
            allowances=allowances,
            department="ENG",
            planned_days=weekdays(self.start, self.end) if planned is None else planned,
        )
        return replace(self, segments=(*self.segments, segment))

    def worked(
        self, pay_code: str, minutes: dict[date, int], kind: int = facts_pb.DAY_KIND_WORKDAY, paid_share: str = ""
    ) -> "Facts":
        """Minutes of a pay code by work date."""
        days = sorted(minutes)
        line = facts_pb.TimeLine(
            assignment_id=str(self.assignment_id),
            day_kind=kind,  # type: ignore[arg-type]
            pay_code=pay_code,
            paid_share=paid_share,
            work_days=[(day - EPOCH).days for day in days],
            minutes=[minutes[day] for day in days],
        )
        return replace(self, lines=(*self.lines, line))

    def with_profile(self, **values: str | None) -> "Facts":
        """Other statutory values; None takes one out."""
        merged = {**dict(self.values), **values}
        return replace(self, values=tuple((key, value) for key, value in merged.items() if value is not None))

    def blocked(self, reason: str, subject: str = "") -> "Facts":
        """With a reason not to calculate."""
        return replace(self, blockers=(*self.blockers, (reason, subject)))

    @property
    def message(self) -> facts_pb.EmployeeFacts:
        """On the wire."""
        return facts_pb.EmployeeFacts(
            employee_id=str(self.employee_id),
            segments=self.segments,
            time_lines=self.lines,
            statutory_values=dict(self.values),
            statutory_country=self.country,
            blockers=[facts_pb.FactBlocker(reason=reason, subject=subject) for reason, subject in self.blockers],
            hire_date=day_to(date(2020, 1, 1)),
            sources=[f"timesheet:{self.assignment_id}:1"],
        )


def facts(amount: str = "20000", **changes: Any) -> Facts:
    """Somebody with a wage for the whole of November 2026."""
    return Facts(**changes).paid(amount)


def in_order(people: Sequence[Facts]) -> list[Facts]:
    """By employee id, as chunks hold them."""
    return sorted(people, key=lambda one: one.employee_id.bytes)


def a_component(code: str, formula: str, **changes: Any) -> PayComponent:
    """An earning taxed as wage, once per payslip, to the cent half up."""
    made = PayComponent(
        code=code,
        name=code.title(),
        kind=LineKind.EARNING,
        formula=formula,
        quantity_formula="",
        rate_formula="",
        base_formula="",
        statutory_line="",
        scope=FormulaScope.PAYSLIP,
        proration=Proration.NONE,
        rounding=Rounding.HALF_UP,
        digits=2,
        tax_treatment=TaxTreatment.WAGE,
        pays_for_time=False,
        hide_zero=False,
        order=10,
        pay_groups=(),
        effective_date=date(2020, 1, 1),
    )
    made = replace(made, **changes)
    if made.kind is not LineKind.EARNING and "tax_treatment" not in changes:
        made = replace(made, tax_treatment=TaxTreatment.NOT_TAXED)
    return made


def a_salary(proration: Proration = Proration.WORKING_DAYS, **changes: Any) -> PayComponent:
    """A monthly wage by segment."""
    return a_component("BASE", "monthly_wage", scope=FormulaScope.SEGMENT, proration=proration, **changes)


def china_plan() -> Plan:
    """The standard components of China."""
    return Plan(standard_components("CN", date(2020, 1, 1)), "CNY", statutory_of("CN"))


def plain_plan(*components: PayComponent) -> Plan:
    """Components without a country."""
    return Plan(components, "CNY", None)


def a_header(plan: Plan, **changes: Any) -> Header:
    """November 2026, paid on 5 December."""
    statutory = plan.statutory
    made = Header(
        pay_group=GROUP,
        period="2026-11",
        kind="REGULAR",
        sequence=0,
        start=NOVEMBER,
        end=DECEMBER,
        pay_date=date(2026, 12, 5),
        tax_year=2026,
        tax_period=12,
        registration="ACME-TAX",
        currency="CNY",
        country="CN" if statutory is not None else "",
        catalog_version=1,
        statutory_version=statutory.version if statutory is not None else "",
        inputs_only=False,
    )
    return replace(made, **changes)


@dataclass(frozen=True, slots=True)
class Payroll:
    """A running service and its clients."""

    client: Client
    runs: Any
    catalog: Any
    tenant_id: TenantId
    subject: str = str(UUID(int=1))

    @classmethod
    def over(cls, client: Client, tenant_id: TenantId) -> "Payroll":
        """Through a client."""
        return cls(
            client,
            client.stub(payroll_run_pb2_grpc.PayrollRunServiceStub),
            client.stub(payroll_catalog_pb2_grpc.PayrollCatalogServiceStub),
            tenant_id,
        )

    def by(self, subject: str) -> "Payroll":
        """The same, called by somebody else."""
        return replace(self, subject=subject)

    async def __call__(self, method: Any, request: Any) -> Any:
        """A call with a fresh request id where it needs one."""
        request_id = None
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            request.request_id = request.request_id or str(uuid4())
            request_id = UUID(request.request_id)
        principal = Principal(self.tenant_id, self.subject, frozenset({"payroll_admin"}))
        return await self.client.call(method, request, principal=principal, request_id=request_id)

    async def set_up(self) -> None:
        """A monthly pay group with the standard components of China."""
        group = cpb.PayGroup(
            code=GROUP,
            name="Monthly",
            withholding_registration="ACME-TAX",
            frequency=cpb.PAY_FREQUENCY_MONTH,
            currency="CNY",
            country="CN",
            time_calendar="MONTHLY",
            pay_date_rule=cpb.PayDateRule(offset=1, day=5),
            effective_date=day_to(date(2020, 1, 1)),
        )
        await self(self.catalog.PutPayGroup, cpb.PutPayGroupRequest(pay_group=group))
        adopt = cpb.AdoptStandardComponentsRequest(country="CN", effective_date=day_to(date(2020, 1, 1)))
        await self(self.catalog.AdoptStandardComponents, adopt)

    async def change_formula(self, code: str, formula: str) -> None:
        """Another formula of a component, from the same date on."""
        got = await self(self.catalog.GetPayComponent, cpb.GetPayComponentRequest(code=code))
        got.component.formula = formula
        await self(self.catalog.PutPayComponent, cpb.PutPayComponentRequest(component=got.component))

    async def create(self, period: str = "2026-11", **changes: Any) -> Any:
        """A run in DRAFT."""
        wanted: dict[str, Any] = {"pay_group": GROUP, "period": period, "kind": pb.RUN_KIND_REGULAR, **changes}
        return (await self(self.runs.CreatePayrollRun, pb.CreatePayrollRunRequest(**wanted))).run

    async def start(self, run_id: str, **changes: Any) -> Any:
        """A new attempt."""
        return (await self(self.runs.StartCalculation, pb.StartCalculationRequest(run_id=run_id, **changes))).run

    async def claim(self, run_id: str, worker: str = "w1", **positions: int) -> Any:
        """The run for a worker."""
        request = pb.ClaimCalculationRequest(
            run_id=run_id,
            worker_id=worker,
            source_positions=[pb.SourcePosition(source=source, position=at) for source, at in positions.items()],
        )
        return await self(self.runs.ClaimCalculation, request)

    async def send(
        self,
        claim: pb.ClaimCalculationResponse,
        people: Sequence[Facts],
        chunk_no: int = 1,
        after: UUID | None = None,
        last: bool = True,
        **changes: Any,
    ) -> Any:
        """One chunk."""
        request = pb.SubmitChunkRequest(
            run_id=claim.run_id,
            attempt=claim.attempt,
            fence=claim.fence,
            chunk_no=chunk_no,
            after_employee_id="" if after is None else str(after),
            facts=[one.message for one in people],
            last=last,
        )
        for name, value in changes.items():
            setattr(request, name, value)
        return await self(self.runs.SubmitChunk, request)

    async def calculated(self, people: Sequence[Facts], period: str = "2026-11", size: int = 500) -> Any:
        """A run of these people, calculated."""
        return await self.calculate((await self.create(period)).run_id, people, size)

    async def calculate(self, run_id: str, people: Sequence[Facts], size: int = 500) -> Any:
        """An existing run, calculated."""
        await self.start(run_id)
        claim = await self.claim(run_id, organization=7, attendance=9)
        ordered = in_order(people)
        chunks = [ordered[at : at + size] for at in range(0, len(ordered), size)] or [[]]
        after: UUID | None = None
        for number, chunk in enumerate(chunks, start=1):
            await self.send(claim, chunk, number, after, last=number == len(chunks))
            after = chunk[-1].employee_id if chunk else after
        return await self.run(run_id)

    async def run(self, run_id: str) -> Any:
        """The run as it is."""
        return (await self(self.runs.GetPayrollRun, pb.GetPayrollRunRequest(run_id=run_id))).run

    async def approve(self, run: pb.PayrollRun, **changes: Any) -> Any:
        """By a second person."""
        wanted = {"run_id": run.run_id, "calculation_hash": run.calculation_hash, **changes}
        other = self.by(str(UUID(int=2)))
        return (await other(self.runs.ApprovePayrollRun, pb.ApprovePayrollRunRequest(**wanted))).run

    async def finalize(self, run: pb.PayrollRun) -> Any:
        """Approved and final."""
        await self.approve(run)
        return (await self(self.runs.FinalizePayrollRun, pb.FinalizePayrollRunRequest(run_id=run.run_id))).run

    async def reversal(self, run_id: str, *, again: bool = False, size: int = 0, **changes: Any) -> Any:
        """A run that takes this one back, calculated; `again`: this is the reversal, and it is calculated anew."""
        if again:
            reversal_id = (await self.start(run_id)).run_id
        else:
            wanted = {"reason": "wrong table", "reversal_date": day_to(date(2026, 12, 10)), **changes}
            request = pb.ReversePayrollRunRequest(run_id=run_id, **wanted)
            reversal_id = (await self(self.runs.ReversePayrollRun, request)).run.run_id
        claim = await self.claim(reversal_id)
        after, number = claim.after_employee_id, claim.next_chunk_no
        while True:
            chunk = pb.SubmitReversalChunkRequest(
                run_id=reversal_id,
                attempt=claim.attempt,
                fence=claim.fence,
                chunk_no=number,
                after_employee_id=after,
                limit=size,
            )
            answer = await self(self.runs.SubmitReversalChunk, chunk)
            after, number = answer.last_employee_id, number + 1
            if not after:
                return await self.run(reversal_id)

    async def payslip(self, run_id: str, employee: UUID) -> Any:
        """One payslip."""
        request = pb.GetPayslipRequest(run_id=run_id, employee_id=str(employee))
        return (await self(self.runs.GetPayslip, request)).payslip

    async def payslips(self, run_id: str) -> list[pb.PayslipSummary]:
        """All payslips of a run."""
        request = pb.ListPayslipsRequest(run_id=run_id, page_size=1000)
        return list((await self(self.runs.ListPayslips, request)).payslips)


@asynccontextmanager
async def calling(settings: Settings, address: str, tenant_id: TenantId) -> AsyncIterator[Payroll]:
    """A service that runs there, from another process too."""
    channels = Channels(settings, Signer.open(settings), {SERVICE.name: address})
    yield Payroll.over(channels.to(SERVICE.name), tenant_id)
    await channels.close()


@asynccontextmanager
async def serving(settings: Settings, service: DataService = SERVICE) -> AsyncIterator[tuple[Payroll, str]]:
    """A running service with a monthly pay group of China, and its address."""
    running = await service.serve(settings, Listener())
    async with calling(settings, running.address, TenantId(uuid4())) as payroll:
        await payroll.set_up()
        yield payroll, running.address
    await running.stop(1.0)


def amounts(payslip: pb.Payslip) -> dict[str, int]:
    """Minor units by line."""
    return {line.code: line.amount.minor_units for line in payslip.lines}


NOW = datetime(2026, 12, 1, 3, 0, 0, 123456, tzinfo=UTC)
