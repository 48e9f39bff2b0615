"""Chunks of a reversal: final payslips read and negated, a few at a time."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence

import orjson

from contexts.payroll.domain.header import Header
from contexts.payroll.domain.payroll_run import RunState
from contexts.payroll.domain.payslip import (
    CalculatedBlocker,
    CalculatedPayslip,
    ChunkResult,
    ComponentSum,
    Payslip,
    Predecessor,
    content_hasher,
    frozen_inputs,
    instant_text,
    results_hash,
)
from contexts.payroll.domain.reversal import reversal_facts, reversed_lines, reversed_year_to_date
from contexts.payroll.repository.documents import canonical, line_amounts
from kernel.ids import EmployeeId

_Hasher = Callable[[bytes, bytes, bytes], bytes]

AT_A_TIME = 10  # payslips negated before the loop is given back


async def taken_back(
    run: RunState, payslips: Sequence[Payslip], latest: Mapping[EmployeeId, Predecessor]
) -> ChunkResult:
    """Payslips of the run's original, negated; who has a later final payslip of the year is blocked."""
    header = Header.of_document(orjson.loads(run.header))
    hasher = content_hasher(run.header)
    facts_digest = hashlib.sha256()
    made: list[CalculatedPayslip] = []
    blockers: list[CalculatedBlocker] = []
    sums: dict[str, ComponentSum] = {}
    assert run.input_cutoff is not None, "a reversal is calculated like any run"
    known_at = instant_text(run.input_cutoff)
    for number, payslip in enumerate(payslips, start=1):
        summary = payslip.summary
        facts_digest.update(summary.content_hash)
        newest = latest.get(summary.employee_id)
        if newest is None or newest.payslip_id != summary.id:
            facts_digest.update(b"|later|")
            blockers.append(
                CalculatedBlocker(
                    summary.employee_id,
                    "REVERSAL_OUT_OF_ORDER",
                    "a later final payslip of the tax year stands on this one; reverse its run first, then calculate"
                    " this reversal anew",
                    "" if newest is None else str(newest.payslip_id),
                )
            )
            continue
        one = _taken_back(payslip, header, known_at, hasher)
        made.append(one)
        for code, amount in line_amounts(one.lines, run.currency).items():
            if amount:
                before = sums.get(code, ComponentSum(0, 0))
                sums[code] = ComponentSum(before.amount + amount, before.lines + 1)
        if not number % AT_A_TIME:
            await asyncio.sleep(0)
    return ChunkResult(
        facts_digest.digest(),
        results_hash(
            [(one.employee_id, one.content_hash) for one in made],
            [(one.employee_id, one.reason, one.subject) for one in blockers],
        ),
        payslips[0].summary.employee_id if payslips else None,
        payslips[-1].summary.employee_id if payslips else None,
        tuple(made),
        tuple(blockers),
        sums,
    )


def replayed(header: Header, facts: Mapping[str, object]) -> tuple[bytes, bytes]:
    """Lines and year to date of a reversal's payslip from what it froze."""
    return canonical(reversed_lines(facts)), canonical(reversed_year_to_date(header, facts))


def _taken_back(payslip: Payslip, header: Header, known_at: str, hasher: _Hasher) -> CalculatedPayslip:
    summary = payslip.summary
    prior = orjson.loads(payslip.inputs)["prior"]
    stored = orjson.loads(payslip.lines)
    facts = reversal_facts(summary.employee_id, summary.id, summary.content_hash, stored, prior)
    inputs = frozen_inputs(canonical(facts), (), known_at, None, canonical)
    lines, year_to_date = replayed(header, facts)
    return CalculatedPayslip(
        employee_id=summary.employee_id,
        gross=-summary.gross,
        net=-summary.net,
        employer_cost=-summary.employer_cost,
        deductions=-summary.deductions,
        content_hash=hasher(inputs, lines, year_to_date),
        predecessor_id=summary.id,
        inputs=inputs,
        lines=lines,
        year_to_date=year_to_date,
        paid=(),
        input_ids=(),
    )
