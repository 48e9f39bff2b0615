"""Chunks away from the loop: workers, inline, replay in a fresh process, incremental equal to full."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.payroll.v1 import payroll_run_pb2

from contexts.payroll.adapters.calculation import (
    Calculator,
    Job,
    Own,
    PlanSource,
    calculate,
    must_be_at_hand,
    replay,
)
from contexts.payroll.domain.errors import FactsInvalid, VersionGone
from contexts.payroll.domain.payslip import ChunkResult, Predecessor, TakenInput, content_hash
from contexts.payroll.repository.documents import canonical
from tests.support.payroll import Facts, a_header, china_plan, facts, in_order

PLAN = china_plan()
SOURCE = PlanSource.of("test", PLAN.components, "CNY", "CN")
HEADER = canonical(a_header(PLAN).document())
KNOWN_AT = "2026-12-01T03:00:00.000000Z"
REPLAY = """
import sys, json
from contexts.payroll.adapters.calculation import PlanSource, replay
from contexts.payroll.domain.payslip import content_hash
given = json.load(sys.stdin)
source = PlanSource("fresh", bytes.fromhex(given["components"]), "CNY", "CN")
header = bytes.fromhex(given["header"])
for inputs in given["inputs"]:
    inputs = bytes.fromhex(inputs)
    lines, to_date = replay(source.plan(), header, inputs)
    print(content_hash(header, inputs, lines, to_date).hex(), lines.hex(), to_date.hex())
"""


def a_job(people: list[Facts], own: dict[str, Own] | None = None, only: frozenset[str] = frozenset()) -> Job:
    """A chunk of these people."""
    request = payroll_run_pb2.SubmitChunkRequest(facts=[one.message for one in people])
    return Job(SOURCE, HEADER, KNOWN_AT, request.SerializeToString(), own or {}, only)


def some_people(count: int) -> list[Facts]:
    """People with different wages."""
    return in_order([facts(f"{12000 + 37 * number}.{number % 100:02}") for number in range(count)])


def some_own(person: Facts) -> dict[str, Own]:
    """A bonus and a payslip before."""
    to_date = canonical(
        {
            "statutory": {
                "contributions": "3500",
                "income": "20000",
                "months": "1",
                "special_additional": "0",
                "tax": "345",
            },
            "tax_period": 11,
            "tax_year": 2026,
            "totals": {"deductions": "3845", "gross": "20000", "net": "16155"},
        }
    )
    taken = TakenInput(UUID(int=5), "BONUS", "36000", None)
    return {str(person.employee_id): Own((taken,), Predecessor(UUID(int=6), b"p" * 32, to_date))}


async def test_workers_and_inline_give_the_same_bytes() -> None:
    people = some_people(20)
    pool, inline = Calculator(1), Calculator(0)

    in_worker = await pool.calculate(a_job(people, some_own(people[3])))
    here = await inline.calculate(a_job(people, some_own(people[3])))
    pool.close()

    assert in_worker == here == calculate(a_job(people, some_own(people[3])))
    assert len(here.payslips) == 20


async def test_a_killed_worker_costs_nothing_but_time_however_many_chunks_wait_for_it() -> None:
    pool = Calculator(1)
    people = some_people(300)
    before = await pool.calculate(a_job(people))
    assert pool._pool is not None
    chunks = [asyncio.create_task(pool.calculate(a_job(people))) for _ in range(3)]
    await asyncio.sleep(0.01)
    for process in list(pool._pool._processes):
        os.kill(process, signal.SIGKILL)

    after = await asyncio.gather(*chunks)
    pool.close()

    assert after == [before] * 3


async def test_workers_that_are_expected_are_there_before_the_first_chunk() -> None:
    pool, inline = Calculator(1), Calculator(0)

    pool.expect_work()
    inline.expect_work()
    assert pool._pool is not None
    workers = list(pool._pool._processes)
    await pool.calculate(a_job(some_people(2)))
    same = list(pool._pool._processes)
    pool.close()

    assert len(workers) == 1
    assert same == workers
    assert inline._pool is None


async def test_inline_calculation_gives_the_loop_back() -> None:
    gaps: list[float] = []

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    ticking = asyncio.create_task(tick())
    await Calculator(0).calculate(a_job(some_people(300)))
    ticking.cancel()

    assert len(gaps) > 5
    assert sorted(gaps)[len(gaps) * 9 // 10] < 0.05


def test_a_payslip_replays_in_a_fresh_process_from_stored_inputs_alone() -> None:
    people = some_people(5)
    result = calculate(a_job(people, some_own(people[2])))
    given = {
        "components": SOURCE.components.hex(),
        "header": HEADER.hex(),
        "inputs": [payslip.inputs.hex() for payslip in result.payslips],
    }

    done = subprocess.run(
        [sys.executable, "-c", REPLAY], input=json.dumps(given), capture_output=True, text=True, timeout=60, check=True
    )

    told = [line.split() for line in done.stdout.splitlines()]
    assert told == [
        [payslip.content_hash.hex(), payslip.lines.hex(), payslip.year_to_date.hex()] for payslip in result.payslips
    ]


def test_one_altered_input_changes_the_hash() -> None:
    result = calculate(a_job(some_people(1)))
    payslip = result.payslips[0]
    document = json.loads(payslip.inputs)
    document["facts"]["segments"][0]["amount"] = "12000.01"
    altered = canonical(document)

    lines, to_date = replay(PLAN, HEADER, altered)

    assert content_hash(HEADER, payslip.inputs, payslip.lines, payslip.year_to_date) == payslip.content_hash
    assert content_hash(HEADER, altered, lines, to_date) != payslip.content_hash
    assert lines != payslip.lines


def test_frozen_inputs_hold_everything_and_nothing_personal() -> None:
    person = facts()
    result = calculate(a_job([person], some_own(person)))

    document = json.loads(result.payslips[0].inputs)

    assert canonical(document) == result.payslips[0].inputs
    assert document.keys() == {"facts", "inputs", "known_at", "prior"}
    assert (document["inputs"][0]["amount"], document["prior"]["hash"]) == ("36000", "70" * 32)
    assert document["facts"].keys() == {"employee", "hired", "left", "segments", "sources", "statutory", "time"}


def test_facts_out_of_order_or_twice_are_refused() -> None:
    people = some_people(2)

    for wrong in (people[::-1], [people[0], people[0]]):
        with pytest.raises(FactsInvalid):
            calculate(a_job(wrong))


def test_a_run_limited_to_some_employees_takes_no_others() -> None:
    people = some_people(2)

    with pytest.raises(FactsInvalid):
        calculate(a_job(people, only=frozenset({str(people[0].employee_id)})))


def test_another_engine_or_pack_is_refused_by_name() -> None:
    header = a_header(PLAN)
    must_be_at_hand(header)

    for changes in ({"engine_version": "0"}, {"statutory_version": "CN-1999"}, {"format_version": 9}):
        with pytest.raises(VersionGone):
            must_be_at_hand(a_header(PLAN, **changes))


def test_the_facts_hash_speaks_of_the_facts_alone() -> None:
    people = some_people(3)

    plain, with_bonus = calculate(a_job(people)), calculate(a_job(people, some_own(people[0])))
    others = calculate(a_job([people[0], people[1]]))

    assert plain.facts_hash == with_bonus.facts_hash != others.facts_hash
    assert plain.results_hash != with_bonus.results_hash


def merged(results: list[ChunkResult]) -> tuple[dict[UUID, bytes], dict[str, tuple[int, int]]]:
    """Content hashes by employee, and sums by component."""
    sums: dict[str, tuple[int, int]] = {}
    for result in results:
        for code, one in result.sums.items():
            before = sums.get(code, (0, 0))
            sums[code] = (before[0] + one.amount, before[1] + one.lines)
    return {slip.employee_id: slip.content_hash for result in results for slip in result.payslips}, sums


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(800_000, 5_000_000), min_size=1, max_size=12), st.integers(1, 5), st.integers(0, 30))
def test_any_cut_into_chunks_gives_the_same_payslips(wages: list[int], size: int, day: int) -> None:
    people = in_order([facts(f"{wage // 100}.{wage % 100:02}") for wage in wages])
    if day:
        people[0] = people[0].worked("OVERTIME", {date(2026, 11, day): 60})

    whole = merged([calculate(a_job(people))])
    pieces = merged([calculate(a_job(people[at : at + size])) for at in range(0, len(people), size)])

    assert whole == pieces
