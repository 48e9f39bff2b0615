"""REST operations of pay."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from application.edge.fields import Code, Id, Nothing
from application.edge.operation import Criticality, IfMatch, RateClass
from application.edge.pages import DatedQuery, Page, PageQuery
from application.edge.routes import Routes
from application.edge.table import CsvResponse
from application.pay import schemas
from application.pay.use_cases import Pay

routes = Routes("pay")


async def pay_of(request: Request) -> Pay:
    """The use cases of this application."""
    found: Pay = request.app.state.pay
    return found


Uses = Annotated[Pay, Depends(pay_of)]
RunId = Annotated[Id, Path(description="The run.")]
PayslipId = Annotated[Id, Path(description="The payslip.")]
EmployeeId = Annotated[Id, Path(description="The employee.")]
PayInputId = Annotated[Id, Path(description="The pay input.")]
GroupCode = Annotated[Code, Path(description="Code of the pay group.")]
ComponentCode = Annotated[schemas.ComponentCode, Path(description="Code of the pay component.")]
Bulk = Criticality.DEFERRABLE
Urgent = Criticality.CRITICAL


@routes.put("/v1/pay-groups/{code}", "pay_catalog.publish", tag="payroll catalog")
async def put_pay_group(code: GroupCode, body: schemas.PayGroupBody, pay: Uses) -> schemas.PayGroupView:
    """Define a pay group from a date on."""
    return await pay.put_pay_group(code, body)


@routes.get("/v1/pay-groups", "pay_catalog.read", tag="payroll catalog")
async def list_pay_groups(query: Annotated[schemas.CatalogQuery, Query()], pay: Uses) -> Page[schemas.PayGroupView]:
    """A page of pay groups as of a date, by code."""
    return await pay.pay_groups(query)


@routes.get("/v1/pay-groups/{code}", "pay_catalog.read", tag="payroll catalog")
async def get_pay_group(code: GroupCode, query: Annotated[DatedQuery, Query()], pay: Uses) -> schemas.PayGroupView:
    """One pay group as of a date."""
    return await pay.pay_group(code, query)


@routes.get("/v1/pay-groups/{code}/periods", "pay_catalog.read", tag="payroll catalog")
async def list_pay_periods(
    code: GroupCode, query: Annotated[schemas.PayPeriodsQuery, Query()], pay: Uses
) -> schemas.PayPeriodsView:
    """The pay periods between two days, with their pay dates."""
    return await pay.pay_periods(code, query)


@routes.post("/v1/pay-components/standard", "pay_catalog.publish", tag="payroll catalog", status=201)
async def adopt_standard_components(body: schemas.StandardComponentsBody, pay: Uses) -> schemas.StandardComponentsView:
    """Adopt a country's standard components in one change set; codes that exist are left alone."""
    return await pay.adopt_components(body)


@routes.put("/v1/pay-components/{code}", "pay_catalog.publish", tag="payroll catalog")
async def put_pay_component(code: ComponentCode, body: schemas.PayComponentBody, pay: Uses) -> schemas.PayComponentView:
    """Define a pay component from a date on; a formula that cannot be used is refused with position and reason."""
    return await pay.put_component(code, body)


@routes.get("/v1/pay-components", "pay_catalog.read", tag="payroll catalog")
async def list_pay_components(
    query: Annotated[schemas.CatalogQuery, Query()], pay: Uses
) -> Page[schemas.PayComponentView]:
    """A page of pay components as of a date, in their order on the payslip."""
    return await pay.components(query)


@routes.get("/v1/pay-components/{code}", "pay_catalog.read", tag="payroll catalog")
async def get_pay_component(
    code: ComponentCode, query: Annotated[DatedQuery, Query()], pay: Uses
) -> schemas.PayComponentView:
    """One pay component as of a date."""
    return await pay.component(code, query)


@routes.post("/v1/pay-inputs", "pay_input.enter", tag="payroll", status=201)
async def create_pay_input(body: schemas.PayInputBody, pay: Uses) -> schemas.PayInputView:
    """Enter one amount for one employee and period, which one run pays, or a recurring one for all its periods."""
    return await pay.create_pay_input(body)


@routes.get("/v1/pay-inputs", "pay_input.read", tag="payroll", criticality=Bulk)
async def list_pay_inputs(query: Annotated[schemas.PayInputsQuery, Query()], pay: Uses) -> Page[schemas.PayInputView]:
    """A page of pay inputs, newest first."""
    return await pay.pay_inputs(query)


@routes.delete("/v1/pay-inputs/{pay_input_id}", "pay_input.enter", tag="payroll", if_match=IfMatch.OPTIONAL)
async def cancel_pay_input(pay_input_id: PayInputId, pay: Uses) -> schemas.PayInputView:
    """Take back an input that no final run has paid."""
    return await pay.cancel_pay_input(pay_input_id)


@routes.post("/v1/pay-inputs/{pay_input_id}/end", "pay_input.enter", tag="payroll", if_match=IfMatch.OPTIONAL)
async def end_pay_input(pay_input_id: PayInputId, body: schemas.EndPayInputBody, pay: Uses) -> schemas.PayInputView:
    """End a recurring input with a period; payslips that are final stay as they are."""
    return await pay.end_pay_input(pay_input_id, body)


@routes.post("/v1/payroll-runs", "payroll_run.create", tag="payroll", status=201)
async def create_payroll_run(body: schemas.RunBody, pay: Uses) -> schemas.RunView:
    """Create a run in DRAFT."""
    return await pay.create_run(body)


@routes.post("/v1/opening-balances", "opening_balance.enter", tag="payroll", status=201, rate=RateClass.BULK)
async def import_opening_balances(body: schemas.OpeningBalancesBody, pay: Uses) -> schemas.RunView:
    """Bring in what another payroll paid and withheld this tax year: a run of kind OPENING, already calculated.

    A second person approves it; once it is final, the employees' next payslips go on from these totals.
    """
    return await pay.import_opening_balances(body)


@routes.get("/v1/payroll-runs", "payroll_run.read", tag="payroll", criticality=Bulk)
async def list_payroll_runs(query: Annotated[schemas.RunsQuery, Query()], pay: Uses) -> Page[schemas.RunView]:
    """A page of runs, newest first."""
    return await pay.runs(query)


@routes.get("/v1/payroll-runs/{run_id}", "payroll_run.read", tag="payroll")
async def get_payroll_run(run_id: RunId, pay: Uses) -> schemas.RunView:
    """One run with its progress and totals."""
    return await pay.run(run_id)


@routes.post(
    "/v1/payroll-runs/{run_id}/calculate",
    "payroll_run.calculate",
    tag="payroll",
    status=202,
    if_match=IfMatch.OPTIONAL,
)
async def calculate_payroll_run(run_id: RunId, pay: Uses, body: Nothing | None = None) -> schemas.RunView:
    """Start the calculation: DRAFT or CALCULATED becomes CALCULATING; poll the run for its progress."""
    return await pay.calculate(run_id)


@routes.post(
    "/v1/payroll-runs/{run_id}/payslips/{employee_id}/recalculate",
    "payroll_run.recalculate",
    tag="payroll",
    if_match=IfMatch.OPTIONAL,
)
async def recalculate_payslip(
    run_id: RunId, employee_id: EmployeeId, pay: Uses, body: Nothing | None = None
) -> schemas.RunView:
    """Calculate one employee anew with the facts as known now (a stale payslip, or a mended blocker)."""
    return await pay.recalculate(run_id, employee_id)


@routes.post("/v1/payroll-runs/{run_id}/defer", "payroll_run.recalculate", tag="payroll", if_match=IfMatch.OPTIONAL)
async def defer_blocked_employees(run_id: RunId, body: schemas.DeferBody, pay: Uses) -> schemas.RunView:
    """Leave blocked employees to a later run, by name."""
    return await pay.defer(run_id, body)


@routes.post(
    "/v1/payroll-runs/{run_id}/approve",
    "payroll_run.approve",
    tag="payroll",
    criticality=Urgent,
    if_match=IfMatch.OPTIONAL,
)
async def approve_payroll_run(run_id: RunId, body: schemas.ApproveBody, pay: Uses) -> schemas.RunView:
    """CALCULATED becomes APPROVED, for exactly the calculation that was seen, by somebody who did not prepare it."""
    return await pay.approve(run_id, body)


@routes.post("/v1/payroll-runs/{run_id}/finalize", "payroll_run.finalize", tag="payroll", if_match=IfMatch.OPTIONAL)
async def finalize_payroll_run(run_id: RunId, pay: Uses, body: Nothing | None = None) -> schemas.RunView:
    """APPROVED becomes FINALIZED: its payslips never change again."""
    return await pay.finalize(run_id)


@routes.post("/v1/payroll-runs/{run_id}/void", "payroll_run.void", tag="payroll", if_match=IfMatch.OPTIONAL)
async def void_payroll_run(run_id: RunId, body: schemas.VoidBody, pay: Uses) -> schemas.RunView:
    """Give up a run that is not final."""
    return await pay.void(run_id, body)


@routes.post(
    "/v1/payroll-runs/{run_id}/reverse", "payroll_run.reverse", tag="payroll", status=202, if_match=IfMatch.OPTIONAL
)
async def reverse_payroll_run(run_id: RunId, body: schemas.ReverseBody, pay: Uses) -> schemas.RunView:
    """Take a final run back: makes a run of kind REVERSAL with every line negated; poll it until it is CALCULATED.

    A second person approves it. Once it is final, the run is REVERSED: its period can be paid again, its inputs are
    open again, and the year to date goes back. While payments of the run are settled it is refused, unless
    `recover_settled` says that the money comes back in another way. Payments that are not settled are cancelled.
    """
    return await pay.reverse(run_id, body)


@routes.get("/v1/payroll-runs/{run_id}/payslips", "payroll_run.read", tag="payroll", criticality=Bulk)
async def list_run_payslips(
    run_id: RunId, query: Annotated[PageQuery, Query()], pay: Uses
) -> Page[schemas.PayslipSummaryView]:
    """A page of the run's payslips, by employee."""
    return await pay.run_payslips(run_id, query)


@routes.get("/v1/payroll-runs/{run_id}/blockers", "payroll_run.read", tag="payroll", criticality=Bulk)
async def list_run_blockers(
    run_id: RunId, query: Annotated[PageQuery, Query()], pay: Uses
) -> Page[schemas.BlockerView]:
    """Who has no payslip, and what to do about it."""
    return await pay.blockers(run_id, query)


@routes.get("/v1/payroll-runs/{run_id}/stale", "payroll_run.read", tag="payroll", criticality=Bulk)
async def list_stale_payslips(
    run_id: RunId, query: Annotated[PageQuery, Query()], pay: Uses
) -> Page[schemas.StaleView]:
    """Whose inputs changed since the calculation, and how."""
    return await pay.stale(run_id, query)


@routes.get("/v1/payroll-runs/{run_id}/payments", "payment.read", tag="payroll", criticality=Bulk)
async def list_run_payments(
    run_id: RunId, query: Annotated[PageQuery, Query()], pay: Uses
) -> Page[schemas.PaymentView]:
    """A page of a final run's payments by employee: one per bank account once arranged, one per payslip before."""
    return await pay.payments(run_id, query)


@routes.post("/v1/payroll-runs/{run_id}/payments/arrange", "payment.arrange", tag="payroll", if_match=IfMatch.OPTIONAL)
async def arrange_payments(run_id: RunId, pay: Uses, body: Nothing | None = None) -> schemas.RunView:
    """Split every net pay of a final run over the employee's bank accounts, one payment each, as they are known now.

    Employees of whom a payment is settled or returned are left as they are; others are arranged anew each time, and
    where their accounts give another split, their payments are new ones.
    """
    return await pay.arrange_payments(run_id)


@routes.get(
    "/v1/payroll-runs/{run_id}/payments.csv",
    "payment.export",
    tag="payroll",
    criticality=Bulk,
    rate=RateClass.EXPORT,
)
async def export_payments(run_id: RunId, query: Annotated[schemas.TableQuery, Query()], pay: Uses) -> CsvResponse:
    """The bank file: every pending payment with its account as it was arranged, and a last row TOTAL.

    `problem` says why a row has no account: NOT_ARRANGED, or NO_ACCOUNT where the employee has none that takes it. An
    answer that breaks off has no TOTAL row.
    """
    return await pay.bank_file(run_id, query)


@routes.post("/v1/payroll-runs/{run_id}/payments/settle", "payment.settle", tag="payroll", if_match=IfMatch.OPTIONAL)
async def settle_payments(run_id: RunId, body: schemas.SettleBody, pay: Uses) -> schemas.RunView:
    """These payments were paid out; the run is PAID once all are, PARTIALLY_PAID before."""
    return await pay.settle_payments(run_id, body)


@routes.post("/v1/payroll-runs/{run_id}/payments/return", "payment.settle", tag="payroll", if_match=IfMatch.OPTIONAL)
async def return_payments(run_id: RunId, body: schemas.ReturnBody, pay: Uses) -> schemas.RunView:
    """The bank could not make these payments, or gave them back; they may be settled later."""
    return await pay.return_payments(run_id, body)


@routes.get("/v1/payroll-runs/{run_id}/variance", "payroll_run.read", tag="payroll", criticality=Bulk)
async def list_run_variances(run_id: RunId, query: Annotated[PageQuery, Query()], pay: Uses) -> schemas.VariancePage:
    """What changed against the pay group's regular run before, by employee and component, with the reasons."""
    return await pay.variances(run_id, query)


@routes.get(
    "/v1/payroll-runs/{run_id}/register",
    "payroll_run.export",
    tag="payroll",
    criticality=Bulk,
    rate=RateClass.EXPORT,
)
async def export_register(run_id: RunId, query: Annotated[schemas.TableQuery, Query()], pay: Uses) -> CsvResponse:
    """The register as CSV: a row per payslip, a column per component, and a last row TOTAL with the control totals.

    Rows are sent while they are read. An answer that breaks off (the run changed meanwhile) has no TOTAL row.
    Text that a spreadsheet would run (it begins with `=`, `+`, `-` or `@`) begins with an apostrophe.
    """
    return await pay.register(run_id, query)


@routes.get("/v1/payroll-runs/{run_id}/component-totals", "payroll_run.read", tag="payroll")
async def list_component_totals(run_id: RunId, pay: Uses) -> schemas.ComponentTotalsView:
    """Every component's sum over the run."""
    return await pay.component_totals(run_id)


@routes.get("/v1/payslips", "payslip.list", tag="payslips", criticality=Bulk)
async def list_payslips(
    query: Annotated[schemas.PayslipsQuery, Query()], pay: Uses
) -> Page[schemas.PayslipSummaryView]:
    """A page of one employee's payslips, newest first; employees see their final ones."""
    return await pay.payslips(query)


@routes.get("/v1/payslips/{payslip_id}", "payslip.read", tag="payslips")
async def get_payslip(payslip_id: PayslipId, pay: Uses) -> schemas.PayslipView:
    """One payslip with its lines and the year so far."""
    return await pay.payslip(payslip_id)


@routes.get("/v1/payslips/{payslip_id}/lines/{code}/trace", "payslip.trace", tag="payslips")
async def get_payslip_line_trace(payslip_id: PayslipId, code: ComponentCode, pay: Uses) -> schemas.TraceView:
    """How one line came to its amount: every input and table row, leaves first."""
    return await pay.trace(payslip_id, code)


@routes.post("/v1/payslips/{payslip_id}/replay", "payslip.replay", tag="payslips", keyed=False)
async def replay_payslip(payslip_id: PayslipId, pay: Uses, body: Nothing | None = None) -> schemas.ReplayView:
    """Calculate a payslip anew from what it froze, and compare the bytes; nothing is written."""
    return await pay.replay(payslip_id)
