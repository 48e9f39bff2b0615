"""Opening balances come in as a run of kind OPENING: one road for everything that a year to date stands on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from contexts.payroll.domain.countries import statutory_of
from contexts.payroll.domain.errors import OpeningBalanceInvalid, OpeningBalanceLate
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.opening import OpeningBalance, OpeningSource, opening_facts, opening_year_to_date
from contexts.payroll.domain.payroll_run import (
    TOLD_EMPLOYEES,
    PayrollRun,
    RunId,
    RunKind,
    RunRequest,
    calculation_hash,
)
from contexts.payroll.domain.payslip import (
    CalculatedPayslip,
    ChunkResult,
    Encode,
    StoredChunk,
    content_hash,
    frozen_inputs,
    instant_text,
    results_hash,
)
from contexts.payroll.handlers.catalog import group_of, period_of
from contexts.payroll.handlers.runs import view_of
from contexts.payroll.repository.port import PayrollWork, RunView
from kernel.ids import EmployeeId

NO_LINES = b"[]"


@dataclass(frozen=True, slots=True)
class ImportOpeningBalances:
    """Balances of employees of one pay group, as of the last period that another payroll paid."""

    pay_group: str
    period: str
    pay_date: date | None
    source: OpeningSource
    balances: Sequence[OpeningBalance]


async def import_opening_balances(cmd: ImportOpeningBalances, work: PayrollWork, encode: Encode) -> RunView:
    """A run in CALCULATED. Raises PayGroupNotFound, PayPeriodNotFound, OpeningBalanceInvalid, OpeningBalanceLate."""
    employees = tuple(balance.employee_id for balance in cmd.balances)
    if len(set(employees)) != len(employees):
        raise OpeningBalanceInvalid("an employee has one opening balance; give each once", field="balances")
    catalog = await work.catalogs.for_reference()
    period = period_of(catalog, cmd.pay_group, cmd.period)
    group_of(catalog, cmd.pay_group, period.span.end)
    await work.lock(f"payroll.runs.{cmd.pay_group}")
    now = work.now()
    sequence = await work.runs.next_sequence(cmd.pay_group, cmd.period, RunKind.OPENING)
    reason = f"{cmd.source.text} ({cmd.source.day.isoformat()})"
    request = RunRequest(RunKind.OPENING, cmd.pay_date, employees, reason, None, False)
    run = PayrollRun.create(RunId(work.new_id()), period, request, sequence, work.actor, now)
    await work.runs.add(run)
    state = run.state
    finalized = await work.runs.finalized(state.registration, state.tax_year)
    late = await work.payslips.predecessors(finalized, employees)
    if late:
        raise OpeningBalanceLate(
            "these employees have a final payslip of the tax year, which their next ones go on from",
            field="balances",
            employee_ids=",".join(str(employee) for employee in sorted(late, key=str)[:TOLD_EMPLOYEES]),
        )
    statutory = statutory_of(state.country)
    version = statutory.version if statutory is not None else ""
    header = run.header_of(catalog.version, version)
    header_bytes = encode(header.document())
    payslips = [
        _payslip(balance, cmd, header, header_bytes, now, encode)
        for balance in sorted(cmd.balances, key=lambda one: one.employee_id.bytes)
    ]
    result = ChunkResult(
        hashlib.sha256(b"".join(payslip.inputs for payslip in payslips)).digest(),
        results_hash([(payslip.employee_id, payslip.content_hash) for payslip in payslips], []),
        payslips[0].employee_id,
        payslips[-1].employee_id,
        tuple(payslips),
        (),
        {},
    )
    bound = calculation_hash(header_bytes, [result.results_hash], ())
    run.imported(result.totals, bound, header_bytes, catalog.version, version, now)
    last = EmployeeId(payslips[-1].employee_id)
    chunk = StoredChunk(1, None, last, True, result.facts_hash, result.results_hash, result.totals, result.sums)
    ids = [work.new_id() for _ in payslips]
    await work.payslips.add_chunk(run.state, chunk, result, ids, now, careful=True)
    await work.runs.save(run)
    return await view_of(run.state, work)


def _payslip(
    balance: OpeningBalance,
    cmd: ImportOpeningBalances,
    header: Header,
    header_bytes: bytes,
    now: datetime,
    encode: Encode,
) -> CalculatedPayslip:
    facts = opening_facts(balance, cmd.source, header, statutory_of(header.country))
    inputs = frozen_inputs(encode(facts), (), instant_text(now), None, encode)
    year_to_date = opening_year_to_date(header, facts, encode)
    return CalculatedPayslip(
        balance.employee_id,
        0,
        0,
        0,
        0,
        content_hash(header_bytes, inputs, NO_LINES, year_to_date),
        None,
        inputs,
        NO_LINES,
        year_to_date,
        (),
        (),
    )
