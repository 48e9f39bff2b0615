"""Between the JSON of pay and payroll's messages."""

from typing import Any
from uuid import UUID

from muster.payroll.v1 import payroll_catalog_pb2 as catalog
from muster.payroll.v1 import payroll_run_pb2 as wire

from application.edge.wire import (
    blank,
    from_date,
    from_enum,
    from_instant,
    from_money,
    optional_id,
    to_date,
    to_enum,
    to_instant,
    to_money,
)
from application.pay import schemas


def to_pay_group(code: str, body: schemas.PayGroupBody) -> catalog.PayGroup:
    """A pay group for the wire."""
    return catalog.PayGroup(
        code=code,
        name=body.name,
        withholding_registration=body.withholding_registration,
        frequency=to_enum(catalog.PayFrequency, "PAY_FREQUENCY_", body.frequency),
        currency=body.currency,
        country=body.country,
        time_calendar=body.time_calendar or "",
        time_period_offset=body.time_period_offset,
        pay_date_rule=catalog.PayDateRule(offset=body.pay_date_rule.offset, day=body.pay_date_rule.day),
        effective_date=to_date(body.effective_date),
    )


def pay_group_view(group: catalog.PayGroup, version: int) -> schemas.PayGroupView:
    """A pay group as it is answered."""
    return schemas.PayGroupView.model_construct(
        code=group.code,
        name=group.name,
        withholding_registration=group.withholding_registration,
        frequency=from_enum(catalog.PayFrequency, "PAY_FREQUENCY_", group.frequency),
        currency=group.currency,
        country=blank(group.country),
        time_calendar=blank(group.time_calendar),
        time_period_offset=group.time_period_offset,
        pay_date_rule=schemas.PayDateRule.model_construct(
            offset=group.pay_date_rule.offset, day=group.pay_date_rule.day
        ),
        effective_date=from_date(group.effective_date),
        catalog_version=version,
    )


def period_view(period: catalog.PayPeriod) -> schemas.PayPeriodView:
    """A pay period as it is answered."""
    return schemas.PayPeriodView.model_construct(
        name=period.name,
        start_date=from_date(period.start_date),
        end_date=from_date(period.end_date),
        pay_date=from_date(period.pay_date),
        tax_year=period.tax_year,
        tax_period=period.tax_period,
        time_periods=list(period.time_periods),
    )


def to_component(code: str, body: schemas.PayComponentBody) -> catalog.PayComponent:
    """A pay component for the wire."""
    return catalog.PayComponent(
        code=code,
        name=body.name,
        kind=to_enum(catalog.LineKind, "LINE_KIND_", body.kind),
        formula=body.formula,
        quantity_formula=body.quantity_formula,
        rate_formula=body.rate_formula,
        base_formula=body.base_formula,
        statutory_line=body.statutory_line,
        scope=to_enum(catalog.FormulaScope, "FORMULA_SCOPE_", body.scope),
        proration=to_enum(catalog.Proration, "PRORATION_", body.proration),
        rounding=to_enum(catalog.RoundingMode, "ROUNDING_MODE_", body.rounding),
        digits=body.digits,
        tax_treatment=to_enum(catalog.TaxTreatment, "TAX_TREATMENT_", body.tax_treatment),
        pays_for_time=body.pays_for_time,
        hide_zero=body.hide_zero,
        order=body.order,
        pay_groups=body.pay_groups,
        effective_date=to_date(body.effective_date),
        ended=body.ended,
    )


def component_view(component: catalog.PayComponent) -> schemas.PayComponentView:
    """A pay component as it is answered."""
    return schemas.PayComponentView.model_construct(
        code=component.code,
        name=component.name,
        kind=from_enum(catalog.LineKind, "LINE_KIND_", component.kind),
        formula=component.formula,
        quantity_formula=component.quantity_formula,
        rate_formula=component.rate_formula,
        base_formula=component.base_formula,
        statutory_line=component.statutory_line,
        scope=from_enum(catalog.FormulaScope, "FORMULA_SCOPE_", component.scope),
        proration=from_enum(catalog.Proration, "PRORATION_", component.proration),
        rounding=from_enum(catalog.RoundingMode, "ROUNDING_MODE_", component.rounding),
        digits=component.digits,
        tax_treatment=from_enum(catalog.TaxTreatment, "TAX_TREATMENT_", component.tax_treatment),
        pays_for_time=component.pays_for_time,
        hide_zero=component.hide_zero,
        order=component.order,
        pay_groups=list(component.pay_groups),
        effective_date=from_date(component.effective_date),
        ended=component.ended,
    )


def to_pay_input(body: schemas.PayInputBody) -> wire.CreatePayInputRequest:
    """A pay input for the wire."""
    return wire.CreatePayInputRequest(
        employee_id=str(body.employee_id),
        pay_group=body.pay_group,
        period=body.period,
        component=body.component,
        amount=to_money(body.amount.exact()),
        quantity=body.quantity or "",
        reason=body.reason,
        run_kind=to_enum(wire.RunKind, "RUN_KIND_", body.run_kind),
        recurring=body.recurring,
        last_period=body.last_period or "",
    )


def pay_input_view(entry: wire.PayInput) -> schemas.PayInputView:
    """A pay input as it is answered."""
    return schemas.PayInputView.model_construct(
        id=UUID(entry.pay_input_id),
        employee_id=UUID(entry.employee_id),
        pay_group=entry.pay_group,
        period=entry.period,
        component=entry.component,
        amount=from_money(entry.amount),
        quantity=blank(entry.quantity),
        status=from_enum(wire.PayInputStatus, "PAY_INPUT_STATUS_", entry.status),
        run_id=optional_id(entry.run_id),
        reason=entry.reason,
        recurring=entry.recurring,
        last_period=blank(entry.last_period),
    )


def to_run(body: schemas.RunBody) -> wire.CreatePayrollRunRequest:
    """A new run for the wire."""
    return wire.CreatePayrollRunRequest(
        pay_group=body.pay_group,
        period=body.period,
        kind=to_enum(wire.RunKind, "RUN_KIND_", body.kind),
        pay_date=to_date(body.pay_date),
        employee_ids=[str(employee) for employee in body.employees or ()],
        reason=body.reason or "",
        input_cutoff=to_instant(body.input_cutoff),
        include_regular=body.include_regular,
    )


def to_opening_balances(body: schemas.OpeningBalancesBody) -> wire.ImportOpeningBalancesRequest:
    """Opening balances for the wire."""
    return wire.ImportOpeningBalancesRequest(
        pay_group=body.pay_group,
        period=body.period,
        pay_date=to_date(body.pay_date),
        source=body.source,
        source_date=to_date(body.source_date),
        balances=[
            wire.OpeningBalance(
                employee_id=str(balance.employee_id),
                totals={
                    **balance.statutory,
                    "gross": balance.gross,
                    "deductions": balance.deductions,
                    "net": balance.net,
                },
            )
            for balance in body.balances
        ],
    )


def run_view(run: wire.PayrollRun) -> schemas.RunView:
    """A run as it is answered."""
    return schemas.RunView.model_construct(
        id=UUID(run.run_id),
        pay_group=run.pay_group,
        period=run.period,
        start_date=from_date(run.start_date),
        end_date=from_date(run.end_date),
        pay_date=from_date(run.pay_date),
        kind=from_enum(wire.RunKind, "RUN_KIND_", run.kind),
        sequence=run.sequence,
        status=from_enum(wire.RunStatus, "RUN_STATUS_", run.status),
        input_cutoff=from_instant(run.input_cutoff),
        calculation_hash=blank(run.calculation_hash),
        stale_hash=blank(run.stale_hash),
        progress=schemas.RunProgress.model_construct(
            done=run.progress.done,
            blocked=run.progress.blocked,
            stale=run.progress.stale,
            total=run.progress.total,
            deferred=run.progress.deferred,
        ),
        totals=schemas.RunTotals.model_construct(
            gross=from_money(run.totals.gross),
            net=from_money(run.totals.net),
            employer_cost=from_money(run.totals.employer_cost),
        ),
        currency=run.currency,
        prepared_by=run.prepared_by,
        approved_by=blank(run.approved_by),
        reason=blank(run.reason),
        include_regular=run.include_regular,
        payments=schemas.RunPayments.model_construct(due=run.due_payment_count, settled=run.settled_payment_count),
        reverses_run_id=optional_id(run.reverses_run_id),
        reversed_by_run_id=optional_id(run.reversed_by_run_id),
        created_time=from_instant(run.created_time),
    )


def payment_view(payment: wire.Payment) -> schemas.PaymentView:
    """A payment as it is answered."""
    return schemas.PaymentView.model_construct(
        id=UUID(payment.payment_id),
        payslip_id=UUID(payment.payslip_id),
        employee_id=UUID(payment.employee_id),
        amount=from_money(payment.amount),
        split=payment.split,
        account=payment.account or None,
        accounts_known_at=from_instant(payment.accounts_known_at) if payment.HasField("accounts_known_at") else None,
        status=from_enum(wire.PaymentStatus, "PAYMENT_STATUS_", payment.status),
        reason=blank(payment.reason),
    )


def blocker_view(blocker: wire.Blocker) -> schemas.BlockerView:
    """A blocker as it is answered."""
    return schemas.BlockerView.model_construct(
        employee_id=UUID(blocker.employee_id),
        reason=blocker.reason,
        message=blocker.message,
        subject=blank(blocker.subject),
        deferred=blocker.deferred,
    )


def stale_view(stale: wire.StalePayslip) -> schemas.StaleView:
    """A stale payslip as it is answered."""
    return schemas.StaleView.model_construct(
        employee_id=UUID(stale.employee_id), reasons=list(stale.reasons), left_to_retro=stale.left_to_retro
    )


def employee_variance_view(found: wire.EmployeeVariance) -> schemas.EmployeeVarianceView:
    """An employee whose payslip differs, as it is answered."""
    return schemas.EmployeeVarianceView.model_construct(
        employee_id=UUID(found.employee_id),
        previous_net=from_money(found.previous_net),
        current_net=from_money(found.current_net),
        lines=[
            schemas.LineVarianceView.model_construct(
                code=line.code,
                kind=from_enum(catalog.LineKind, "LINE_KIND_", line.kind),
                previous=from_money(line.previous),
                current=from_money(line.current),
                delta=from_money(line.delta),
                reasons=[from_enum(wire.VarianceReason, "VARIANCE_REASON_", reason) for reason in line.reasons],
            )
            for line in found.lines
        ],
    )


def component_total_view(total: wire.ComponentTotal) -> schemas.ComponentTotalView:
    """A component's sum as it is answered."""
    return schemas.ComponentTotalView.model_construct(
        code=total.code,
        kind=from_enum(catalog.LineKind, "LINE_KIND_", total.kind),
        amount=from_money(total.amount),
        line_count=total.line_count,
    )


def _summary(summary: wire.PayslipSummary) -> dict[str, Any]:
    return {
        "id": UUID(summary.payslip_id),
        "run_id": UUID(summary.run_id),
        "employee_id": UUID(summary.employee_id),
        "period": summary.period,
        "pay_date": from_date(summary.pay_date),
        "currency": blank(summary.net.currency),
        "gross": from_money(summary.gross),
        "deductions": from_money(summary.deductions),
        "net": from_money(summary.net),
        "employer_cost": from_money(summary.employer_cost),
        "content_hash": summary.content_hash,
        "stale": summary.stale,
        "run_status": from_enum(wire.RunStatus, "RUN_STATUS_", summary.run_status),
    }


def summary_view(summary: wire.PayslipSummary) -> schemas.PayslipSummaryView:
    """A payslip without its lines."""
    return schemas.PayslipSummaryView.model_construct(**_summary(summary))


def line_view(payslip_id: str, line: wire.PayslipLine) -> schemas.LineView:
    """A payslip line as it is answered."""
    return schemas.LineView.model_construct(
        code=line.code,
        name=line.name,
        kind=from_enum(catalog.LineKind, "LINE_KIND_", line.kind),
        quantity=blank(line.quantity),
        rate=blank(line.rate),
        base=blank(line.base),
        amount=from_money(line.amount),
        rounding=from_enum(catalog.RoundingMode, "ROUNDING_MODE_", line.rounding),
        trace_id=f"/v1/payslips/{payslip_id}/lines/{line.code}/trace",
    )


def payslip_view(payslip: wire.Payslip) -> schemas.PayslipView:
    """A payslip with its lines."""
    payslip_id = payslip.summary.payslip_id
    return schemas.PayslipView.model_construct(
        **_summary(payslip.summary),
        lines=[line_view(payslip_id, line) for line in payslip.lines],
        year_to_date=schemas.YearToDateView.model_construct(
            tax_year=payslip.year_to_date.tax_year,
            totals=dict(sorted(payslip.year_to_date.totals.items())),
            predecessor_payslip_id=optional_id(payslip.year_to_date.predecessor_payslip_id),
        ),
        versions=schemas.VersionsView.model_construct(
            catalog=payslip.versions.catalog,
            statutory=blank(payslip.versions.statutory),
            engine=payslip.versions.engine,
        ),
        known_at=from_instant(payslip.known_at),
    )


def trace_view(payslip_id: str, trace: wire.GetPayslipLineTraceResponse) -> schemas.TraceView:
    """How a line came to its amount."""
    return schemas.TraceView.model_construct(
        line=line_view(payslip_id, trace.line),
        formula=trace.formula,
        steps=[
            schemas.TraceStepView.model_construct(
                name=step.name,
                value=step.value,
                source=from_enum(wire.TraceSource, "TRACE_SOURCE_", step.source),
                expression=blank(step.expression),
                origin=blank(step.origin),
                segment=step.segment,
            )
            for step in trace.steps
        ],
    )


def replay_view(answer: wire.ReplayPayslipResponse) -> schemas.ReplayView:
    """Whether a replay gave the same bytes."""
    return schemas.ReplayView.model_construct(
        matches=answer.matches,
        stored_hash=answer.stored_hash,
        replayed_hash=answer.replayed_hash,
        differing_lines=list(answer.differing_lines),
    )
