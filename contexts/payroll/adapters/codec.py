"""Payroll's values to and from their messages."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from muster.payroll.v1 import payroll_catalog_pb2 as cpb
from muster.payroll.v1 import payroll_run_pb2 as pb
from muster.type.v1.money_pb2 import Money as MoneyMessage

from contexts.payroll.domain.catalog import (
    FormulaScope,
    LineKind,
    PayComponent,
    PayDateRule,
    PayFrequency,
    PayGroup,
    PayPeriod,
    Proration,
    TaxTreatment,
)
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.explanation import Explanation, StepSource
from contexts.payroll.domain.pay_input import PayInputState, PayInputStatus
from contexts.payroll.domain.payment import Payment, SplitPart
from contexts.payroll.domain.payroll_run import RunKind, RunRequest, RunState, RunStatus
from contexts.payroll.domain.payslip import Payslip, PayslipSummary
from contexts.payroll.repository.port import RunView
from kernel.errors import InvalidValue
from kernel.ids import EmployeeId, Version
from kernel.money import Money, Rounding

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def uuid_from(text: str, field: str) -> UUID:
    """An id. Raises InvalidValue."""
    if not _UUID.fullmatch(text.lower()):
        raise InvalidValue("write a UUID", field=field)
    return UUID(text)


def version_from(etag: str) -> Version | None:
    """The version that the caller saw, None where it is not checked."""
    return Version(int(etag)) if etag else None


def date_from(message: Date, field: str) -> date:
    """A civil date. Raises InvalidValue."""
    try:
        return date(message.year, message.month, message.day)
    except ValueError:
        raise InvalidValue("write a date of the calendar", field=field) from None


def optional_date_from(message: Any, field: str) -> date | None:
    """The date in a field of a message, None where it is not set. Raises InvalidValue."""
    return date_from(getattr(message, field), field) if message.HasField(field) else None


def optional_instant_from(message: Any, field: str) -> datetime | None:
    """The instant in a field of a message, None where it is not set. Raises InvalidValue."""
    return instant_from(getattr(message, field), field) if message.HasField(field) else None


def instant_from(message: Timestamp, field: str) -> datetime:
    """An instant to the microsecond. Raises InvalidValue."""
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue("write an instant of the calendar", field=field) from None


def date_to(day: date) -> Date:
    """A civil date."""
    return Date(year=day.year, month=day.month, day=day.day)


def instant_to(instant: datetime) -> Timestamp:
    """An instant."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def money_to(minor: int, currency: str) -> MoneyMessage:
    """An amount in minor units."""
    return MoneyMessage(currency=currency, minor_units=minor)


def money_from(message: MoneyMessage) -> Money:
    """An amount."""
    return Money(message.minor_units, message.currency)


def _enum(prefix: str, value: str) -> str:
    return f"{prefix}_{value}"


def _named(prefix: str, name: str) -> str:
    return name.removeprefix(f"{prefix}_")


# ------------------------------------------------------------------------------------------------------ catalog


def pay_group_from(message: cpb.PayGroup) -> PayGroup:
    """A pay group as asked for. Raises InvalidValue."""
    return PayGroup(
        code=message.code,
        name=message.name,
        withholding_registration=message.withholding_registration,
        frequency=PayFrequency(_named("PAY_FREQUENCY", cpb.PayFrequency.Name(message.frequency))),
        currency=message.currency,
        country=message.country,
        time_calendar=message.time_calendar,
        time_period_offset=message.time_period_offset,
        pay_date_rule=PayDateRule(message.pay_date_rule.offset, message.pay_date_rule.day),
        effective_date=date_from(message.effective_date, "pay_group.effective_date"),
    )


def pay_group_to(group: PayGroup) -> cpb.PayGroup:
    """A pay group."""
    return cpb.PayGroup(
        code=group.code,
        name=group.name,
        withholding_registration=group.withholding_registration,
        frequency=cpb.PayFrequency.Value(_enum("PAY_FREQUENCY", group.frequency.value)),
        currency=group.currency,
        country=group.country,
        time_calendar=group.time_calendar,
        time_period_offset=group.time_period_offset,
        pay_date_rule=cpb.PayDateRule(offset=group.pay_date_rule.offset, day=group.pay_date_rule.day),
        effective_date=date_to(group.effective_date),
    )


def pay_period_to(period: PayPeriod) -> cpb.PayPeriod:
    """A pay period."""
    return cpb.PayPeriod(
        pay_group=period.pay_group,
        name=period.name,
        start_date=date_to(period.span.start),
        end_date=date_to(period.span.end),
        pay_date=date_to(period.pay_date),
        tax_year=period.tax_year,
        tax_period=period.tax_period,
        time_periods=period.time_periods,
        time_calendar=period.time_calendar,
        withholding_registration=period.withholding_registration,
        currency=period.currency,
        country=period.country,
    )


def component_from(message: cpb.PayComponent) -> PayComponent:
    """A component as asked for; what is not said takes its plain meaning. Raises InvalidValue."""
    kind = LineKind(_named("LINE_KIND", cpb.LineKind.Name(message.kind)))
    treatment = TaxTreatment.NOT_TAXED
    if message.tax_treatment:
        treatment = TaxTreatment(_named("TAX_TREATMENT", cpb.TaxTreatment.Name(message.tax_treatment)))
    return PayComponent(
        code=message.code,
        name=message.name,
        kind=kind,
        formula=message.formula,
        quantity_formula=message.quantity_formula,
        rate_formula=message.rate_formula,
        base_formula=message.base_formula,
        statutory_line=message.statutory_line,
        scope=FormulaScope(_named("FORMULA_SCOPE", cpb.FormulaScope.Name(message.scope)))
        if message.scope
        else FormulaScope.PAYSLIP,
        proration=Proration(_named("PRORATION", cpb.Proration.Name(message.proration)))
        if message.proration
        else Proration.NONE,
        rounding=Rounding[_named("ROUNDING_MODE", cpb.RoundingMode.Name(message.rounding))]
        if message.rounding
        else Rounding.HALF_UP,
        digits=message.digits,
        tax_treatment=treatment,
        pays_for_time=message.pays_for_time,
        hide_zero=message.hide_zero,
        order=message.order,
        pay_groups=tuple(sorted(set(message.pay_groups))),
        effective_date=date_from(message.effective_date, "component.effective_date"),
        ended=message.ended,
    )


def component_to(component: PayComponent) -> cpb.PayComponent:
    """A component."""
    treatment = cpb.TAX_TREATMENT_UNSPECIFIED
    if component.tax_treatment is not TaxTreatment.NOT_TAXED:
        treatment = cpb.TaxTreatment.Value(_enum("TAX_TREATMENT", component.tax_treatment.value))
    return cpb.PayComponent(
        code=component.code,
        name=component.name,
        kind=cpb.LineKind.Value(_enum("LINE_KIND", component.kind.value)),
        formula=component.formula,
        quantity_formula=component.quantity_formula,
        rate_formula=component.rate_formula,
        base_formula=component.base_formula,
        statutory_line=component.statutory_line,
        scope=cpb.FormulaScope.Value(_enum("FORMULA_SCOPE", component.scope.value)),
        proration=cpb.Proration.Value(_enum("PRORATION", component.proration.value)),
        rounding=cpb.RoundingMode.Value(_enum("ROUNDING_MODE", component.rounding.name)),
        digits=component.digits,
        tax_treatment=treatment,
        pays_for_time=component.pays_for_time,
        hide_zero=component.hide_zero,
        order=component.order,
        pay_groups=component.pay_groups,
        effective_date=date_to(component.effective_date),
        ended=component.ended,
    )


# --------------------------------------------------------------------------------------------------------- runs


def run_kind_from(value: int) -> RunKind:
    """What a run pays; unspecified means REGULAR."""
    return RunKind(_named("RUN_KIND", pb.RunKind.Name(value))) if value else RunKind.REGULAR  # type: ignore[arg-type]


def run_status_from(value: int) -> RunStatus | None:
    """A status to filter by, None for all."""
    return RunStatus(_named("RUN_STATUS", pb.RunStatus.Name(value))) if value else None  # type: ignore[arg-type]


def run_status_to(status: RunStatus) -> "pb.RunStatus.ValueType":
    """A status."""
    return pb.RunStatus.Value(_enum("RUN_STATUS", status.value))


def run_request_from(message: pb.CreatePayrollRunRequest) -> RunRequest:
    """What is asked for. Raises InvalidValue."""
    return RunRequest(
        kind=run_kind_from(message.kind),
        pay_date=optional_date_from(message, "pay_date"),
        employee_ids=tuple(EmployeeId(uuid_from(id, "employee_ids")) for id in message.employee_ids),
        reason=message.reason,
        input_cutoff=optional_instant_from(message, "input_cutoff"),
        include_regular=message.include_regular,
    )


def positions_from(messages: Iterable[pb.SourcePosition]) -> dict[str, int]:
    """Feed positions by source."""
    return {message.source: message.position for message in messages}


def run_to(view: RunView) -> pb.PayrollRun:
    """A run with its counts."""
    state: RunState = view.state
    totals = view.totals
    message = pb.PayrollRun(
        run_id=str(state.id),
        pay_group=state.pay_group,
        period=state.period,
        start_date=date_to(state.span.start),
        end_date=date_to(state.span.end),
        pay_date=date_to(state.pay_date),
        kind=pb.RunKind.Value(_enum("RUN_KIND", state.kind.value)),
        sequence=state.sequence,
        status=run_status_to(state.told_status),
        attempt=state.attempt,
        calculation_hash=state.calculation_hash,
        progress=pb.RunProgress(
            done=totals.payslip_count,
            blocked=totals.blocked_count,
            stale=view.stale,
            total=totals.payslip_count + totals.blocked_count,
            chunks=view.chunks,
            deferred=view.deferred,
        ),
        totals=pb.RunTotals(
            gross=money_to(totals.gross_minor, state.currency),
            net=money_to(totals.net_minor, state.currency),
            employer_cost=money_to(totals.employer_cost_minor, state.currency),
        ),
        etag=str(state.version),
        catalog_version=state.catalog_version,
        statutory_version=state.statutory_version,
        currency=state.currency,
        prepared_by=state.preparers[0] if state.preparers else "",
        approved_by=state.approved_by,
        time_periods=state.time_periods,
        time_calendar=state.time_calendar,
        employee_ids=[str(employee) for employee in state.employee_ids],
        source_positions=[
            pb.SourcePosition(source=source, position=position) for source, position in sorted(view.positions.items())
        ],
        stale_hash=view.stale_hash,
        reason=state.reason,
        tax_year=state.tax_year,
        tax_period=state.tax_period,
        withholding_registration=state.registration,
        country=state.country,
        created_time=instant_to(state.created_time),
        include_regular=state.include_regular,
        due_payment_count=state.due_count,
        settled_payment_count=state.settled_count,
        reverses_run_id="" if state.reverses is None else str(state.reverses),
        reversed_by_run_id="" if state.reversed_by is None else str(state.reversed_by),
    )
    if state.input_cutoff is not None:
        message.input_cutoff.CopyFrom(instant_to(state.input_cutoff))
    return message


def payment_to(payment: Payment) -> pb.Payment:
    """A payment."""
    return pb.Payment(
        payment_id=str(payment.id),
        payslip_id=str(payment.payslip_id),
        employee_id=str(payment.employee_id),
        amount=money_to(payment.amount.minor, payment.amount.currency),
        status=pb.PaymentStatus.Value(_enum("PAYMENT_STATUS", payment.status.value)),
        reason=payment.reason,
        split=payment.split,
        account=payment.account,
        accounts_known_at=None if payment.accounts_known_at is None else instant_to(payment.accounts_known_at),
    )


def split_part_from(message: pb.PaySplitPart) -> SplitPart:
    """What one account gets."""
    return SplitPart(
        message.account,
        money_from(message.amount) if message.HasField("amount") else None,
        Decimal(message.share_percent) if message.share_percent else None,
    )


# ------------------------------------------------------------------------------------------------------ payslips


def summary_to(summary: PayslipSummary) -> pb.PayslipSummary:
    """A payslip without its lines."""
    currency = summary.currency
    return pb.PayslipSummary(
        payslip_id=str(summary.id),
        run_id=str(summary.run_id),
        employee_id=str(summary.employee_id),
        period=summary.period,
        gross=money_to(summary.gross, currency),
        net=money_to(summary.net, currency),
        employer_cost=money_to(summary.employer_cost, currency),
        content_hash=summary.content_hash.hex(),
        stale=summary.stale,
        run_status=run_status_to(summary.run_status),
        pay_date=date_to(summary.pay_date),
        deductions=money_to(summary.deductions, currency),
    )


def payslip_to(payslip: Payslip, header: Mapping[str, Any], names: Mapping[str, str]) -> pb.Payslip:
    """A payslip with its lines; `names` are those of its components."""
    summary = payslip.summary
    # A payslip that lost its results is shown without them: it can still be replayed from its frozen inputs.
    to_date = orjson.loads(payslip.year_to_date or b"{}")
    return pb.Payslip(
        summary=summary_to(summary),
        lines=[line_to(line, summary.currency, names) for line in orjson.loads(payslip.lines or b"[]")],
        year_to_date=pb.YearToDate(
            tax_year=to_date.get("tax_year", 0),
            totals={**to_date.get("totals", {}), **to_date.get("statutory", {})},
            predecessor_payslip_id="" if payslip.predecessor_id is None else str(payslip.predecessor_id),
        ),
        versions=pb.CalculationVersions(
            catalog=header["catalog"],
            statutory=header["statutory"],
            engine=header["engine"],
            format=header["format_version"],
        ),
        inputs=payslip.inputs,
        known_at=instant_to(payslip.known_at),
    )


def line_to(line: Mapping[str, Any], currency: str, names: Mapping[str, str]) -> pb.PayslipLine:
    """One stored line."""
    message = pb.PayslipLine(
        code=line["code"],
        name=names.get(line["code"], line["code"]),
        kind=cpb.LineKind.Value(_enum("LINE_KIND", line["kind"])),
        quantity=line.get("quantity", ""),
        rate=line.get("rate", ""),
        base=line.get("base", ""),
        amount=money_to(Money.exactly(Decimal(line["amount"]), currency).minor, currency),
        paid_ranges=[
            pb.PaidRange(
                assignment_id=assignment,
                start_date=date_to(date.fromisoformat(start)),
                end_date=date_to(date.fromisoformat(end)),
            )
            for assignment, start, end in line.get("paid", ())
        ],
    )
    if "rounding" in line:
        mode, _, digits = line["rounding"].partition("/")
        message.rounding = cpb.RoundingMode.Value(_enum("ROUNDING_MODE", mode))
        message.digits = int(digits)
    return message


def line_kind_to(kind: LineKind) -> "cpb.LineKind.ValueType":
    """What a line is."""
    return cpb.LineKind.Value(_enum("LINE_KIND", kind.value))


def component_names(plan: Plan) -> dict[str, str]:
    """The names of a plan's components by code."""
    return {component.code: component.name for component in plan.components}


_SOURCES = {
    StepSource.INPUT: pb.TRACE_SOURCE_INPUT,
    StepSource.TABLE: pb.TRACE_SOURCE_TABLE,
    StepSource.LINE: pb.TRACE_SOURCE_LINE,
    StepSource.STEP: pb.TRACE_SOURCE_STEP,
}


def steps_to(explanation: Explanation) -> list[pb.TraceStep]:
    """The steps of an explanation."""
    return [
        pb.TraceStep(
            name=step.name,
            value=step.value,
            source=_SOURCES[step.source],
            expression=step.expression,
            origin=step.origin,
            segment=step.segment,
        )
        for step in explanation.steps
    ]


# ------------------------------------------------------------------------------------------------------- inputs

_STATUSES = {
    PayInputStatus.OPEN: pb.PAY_INPUT_STATUS_OPEN,
    PayInputStatus.TAKEN: pb.PAY_INPUT_STATUS_TAKEN,
    PayInputStatus.USED: pb.PAY_INPUT_STATUS_USED,
    PayInputStatus.CANCELLED: pb.PAY_INPUT_STATUS_CANCELLED,
}


def pay_input_to(state: PayInputState) -> pb.PayInput:
    """A pay input."""
    status = state.status
    taken = status in (PayInputStatus.TAKEN, PayInputStatus.USED)
    return pb.PayInput(
        pay_input_id=str(state.id),
        employee_id=str(state.employee_id),
        pay_group=state.pay_group,
        period=state.period,
        component=state.component,
        amount=money_to(state.amount.minor, state.amount.currency),
        quantity="" if state.quantity is None else f"{state.quantity.normalize():f}",
        reason=state.reason,
        status=_STATUSES[status],
        run_id=str(state.run_id) if taken and state.run_id is not None else "",
        etag=str(state.version),
        run_kind=pb.RunKind.Value(_enum("RUN_KIND", state.run_kind.value)),
        recurring=state.recurring,
        last_period=state.last_period,
    )
