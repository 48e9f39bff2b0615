"""The run's state machine, four eyes, and what approval binds."""

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest

from contexts.payroll.domain.catalog import PayDateRule, PayFrequency, PayGroup
from contexts.payroll.domain.errors import (
    CalculationChanged,
    CutoffUnsettled,
    InputsChanged,
    RunBlocked,
    RunInvalid,
    RunNotCalculating,
    RunStatusWrong,
    SelfApproval,
)
from contexts.payroll.domain.events import CalculationRequested, PayrollRunApproved, PayrollRunCreated
from contexts.payroll.domain.payroll_run import (
    NEXT,
    ControlTotals,
    PayrollRun,
    RunId,
    RunKind,
    RunRequest,
    RunStatus,
    calculation_hash,
    stale_hash,
)
from contexts.payroll.repository.documents import canonical
from kernel.ids import EmployeeId

NOW = datetime(2026, 12, 1, 3, tzinfo=timezone(timedelta(0)))
GROUP = PayGroup("G", "Group", "TAX", PayFrequency.MONTH, "CNY", "CN", "M", -1, PayDateRule(1, 31), date(2020, 1, 1))
SEEN = "a" * 64


def a_request(
    kind: RunKind = RunKind.REGULAR, people: int = 0, pay_date: date | None = None, reason: str = ""
) -> RunRequest:
    """What is asked for."""
    return RunRequest(kind, pay_date, tuple(EmployeeId(UUID(int=one)) for one in range(people)), reason, None, False)


def a_run(by: str = "ann") -> PayrollRun:
    """In DRAFT."""
    return PayrollRun.create(RunId(uuid4()), GROUP.period("2026-11"), a_request(), 0, by, NOW)


def calculating(by: str = "ann") -> PayrollRun:
    """With an attempt."""
    run = a_run(by)
    run.start_calculation(by, None, NOW, 7, "CN-1", canonical)
    return run


def calculated(by: str = "ann") -> PayrollRun:
    """Complete."""
    run = calculating(by)
    run.complete(ControlTotals(3, 0, 30, 20, 40), SEEN)
    return run


def test_a_run_takes_its_dates_from_the_period() -> None:
    state = a_run().state

    assert (state.pay_date, state.tax_year, state.tax_period) == (date(2026, 12, 31), 2026, 12)
    assert state.time_periods == ("2026-10",)


def test_creating_says_so_once() -> None:
    run = a_run()

    assert run.pull_events() == (PayrollRunCreated(run.state.id, "G", "2026-11", "REGULAR", 0),)
    assert run.pull_events() == ()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (a_request(people=1), "employee_ids"),
        (a_request(RunKind.OFF_CYCLE, 0, date(2026, 12, 1), "x"), "employee_ids"),
        (a_request(RunKind.OFF_CYCLE, 1, date(2026, 12, 1)), "reason"),
        (a_request(RunKind.TERMINATION, 1, None, "x"), "pay_date"),
        (a_request(RunKind.CORRECTION, 1001, None, "x"), "employee_ids"),
    ],
)
def test_runs_that_contradict_themselves_are_refused_by_field(request_: RunRequest, field: str) -> None:
    with pytest.raises(RunInvalid) as error:
        PayrollRun.create(RunId(uuid4()), GROUP.period("2026-11"), request_, 0, "ann", NOW)

    assert error.value.field == field


def test_an_attempt_freezes_cutoff_versions_and_header() -> None:
    run = calculating()
    first = run.state
    run.start_calculation("bob", None, NOW + timedelta(hours=1), 8, "CN-1", canonical)

    assert (first.attempt, first.input_cutoff, first.catalog_version) == (1, NOW, 7)
    assert (run.state.attempt, run.state.catalog_version) == (2, 8)
    assert first.header != run.state.header
    assert isinstance(run.pull_events()[1], CalculationRequested)


def test_a_cutoff_that_is_not_settled_is_refused() -> None:
    run = a_run()

    with pytest.raises(CutoffUnsettled):
        run.start_calculation("ann", NOW + timedelta(microseconds=1), NOW, 1, "", canonical)


def test_only_the_current_attempt_is_worked_on() -> None:
    run = calculating()

    run.must_be_calculating(1)
    with pytest.raises(RunNotCalculating):
        run.must_be_calculating(2)
    with pytest.raises(RunNotCalculating):
        calculated().must_be_calculating()


@pytest.mark.parametrize("by", ["ann", "bob"])
def test_nobody_who_touched_a_run_approves_it(by: str) -> None:
    run = calculated("ann")
    run.recalculated(run.state.totals, SEEN, 1, "bob")

    with pytest.raises(SelfApproval):
        run.approve(by, SEEN, 0, [], "", "")


def test_a_process_prepares_nothing() -> None:
    run = calculated("process:pay-run")

    run.approve("ann", SEEN, 0, [], "", "")

    assert run.state.preparers == ()


def test_approval_refuses_in_the_order_that_helps() -> None:
    run = calculated()
    ann = EmployeeId(UUID(int=1))
    stale = stale_hash(0, [ann])

    with pytest.raises(CalculationChanged):
        run.approve("bob", "b" * 64, 1, [ann], stale, "")
    with pytest.raises(RunBlocked):
        run.approve("bob", SEEN, 1, [ann], stale, "")
    with pytest.raises(InputsChanged) as error:
        run.approve("bob", SEEN, 0, [ann], stale, "c" * 64)
    run.approve("bob", SEEN, 0, [ann], stale, stale)

    assert error.value.facts["employee_ids"] == str(ann)
    assert run.state.approved_by == "bob"
    assert run.pull_events()[-1] == PayrollRunApproved(run.state.id, SEEN)


def test_every_verb_is_refused_where_the_machine_does_not_know_it() -> None:
    verbs: dict[str, Callable[[PayrollRun], object]] = {
        "start the calculation": lambda run: run.start_calculation("ann", None, NOW, 1, "", canonical),
        "complete the calculation": lambda run: run.complete(ControlTotals(), SEEN),
        "import": lambda run: run.imported(ControlTotals(), SEEN, b"{}", 1, "", NOW),
        "change payslips": lambda run: run.became_stale(1),
        "approve": lambda run: run.approve("bob", SEEN, 0, [], "", ""),
        "finalize": lambda run: run.finalize(1, 1),
        "record payments": lambda run: run.payments_recorded(1, 1),
        "arrange payments": lambda run: run.payments_arranged(1, 1),
        "reverse": lambda run: run.reversed_by(RunId(uuid4())),
        "void": lambda run: run.void(),
    }
    approved, final, void = calculated(), calculated(), calculated()
    approved.approve("bob", SEEN, 0, [], "", "")
    final.approve("bob", SEEN, 0, [], "", "")
    final.finalize(1, 1)
    void.void()
    taken_back = PayrollRun(final.state)
    taken_back.reversed_by(RunId(uuid4()))

    assert verbs.keys() == NEXT.keys()
    for run in (a_run(), calculating(), calculated(), approved, final, void, taken_back):
        for verb, act in verbs.items():
            again = PayrollRun(run.state)
            if run.state.status in NEXT[verb]:
                act(again)
                assert again.state.status is NEXT[verb][run.state.status]
            else:
                with pytest.raises(RunStatusWrong):
                    act(again)


def test_a_final_run_has_no_way_out_but_to_be_taken_back() -> None:
    ways = {verb: steps[RunStatus.FINALIZED] for verb, steps in NEXT.items() if RunStatus.FINALIZED in steps}

    assert {verb for verb, status in ways.items() if status is not RunStatus.FINALIZED} == {"reverse"}
    assert all(steps.get(RunStatus.REVERSED, RunStatus.REVERSED) is RunStatus.REVERSED for steps in NEXT.values())
    assert all(RunStatus.VOID not in steps for steps in NEXT.values())


def test_the_calculation_hash_moves_with_each_of_its_parts() -> None:
    ann, bob = EmployeeId(UUID(int=1)), EmployeeId(UUID(int=2))
    chunks = [b"1" * 32, b"2" * 32]

    hashes = {
        calculation_hash(b"h", chunks, [ann]),
        calculation_hash(b"i", chunks, [ann]),
        calculation_hash(b"h", chunks[::-1], [ann]),
        calculation_hash(b"h", chunks, [bob]),
        calculation_hash(b"h", chunks, []),
    }

    assert len(hashes) == 5
    assert calculation_hash(b"h", chunks, [ann, bob]) == calculation_hash(b"h", chunks, [bob, ann])


def test_the_stale_hash_names_exactly_its_list() -> None:
    ann, bob = EmployeeId(UUID(int=1)), EmployeeId(UUID(int=2))

    assert stale_hash(0, []) == ""
    assert stale_hash(0, [ann, bob]) == stale_hash(0, [bob, ann])
    assert len({stale_hash(0, [ann]), stale_hash(0, [ann, bob]), stale_hash(5, []), stale_hash(5, [ann])}) == 4
