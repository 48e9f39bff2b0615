"""What an employee guards, without storage."""

import contextlib
import itertools
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.organization.domain.employee import Employee, restored
from contexts.organization.domain.errors import (
    ChangeNoLongerStands,
    ChangeNotFound,
    ChangesLeftOutside,
    DateOutOfRange,
    FactOutOfRange,
    ManagerCycle,
    NotEmployed,
    NothingChanges,
    SpellHasEnd,
    SpellsOverlap,
)
from contexts.organization.domain.events import EmployeeCorrected, EmployeeTerminated, EmployeeTransferred
from contexts.organization.domain.history import ALLOWANCE, END_REASON, STATUTORY, ChangeKind, fold, known_at
from contexts.organization.domain.values import BEGINNING, EmployeeStatus, EndReason, Spell
from kernel.errors import DomainError
from kernel.ids import EmployeeId
from kernel.period import FOREVER
from tests.support.organization import FIRST_DAY, START, a_recording, an_employee, monthly, some_work

JULY, AUGUST, SEPTEMBER = date(2026, 7, 1), date(2026, 8, 1), date(2026, 9, 1)


def amount_on(employee: Employee, day: date) -> str:
    """The amount that is paid on that day."""
    segment = employee.state.projection.at(day)
    assert segment is not None
    assert segment.work is not None
    assert segment.work.compensation is not None
    return str(segment.work.compensation.amount)


def department_on(employee: Employee, day: date) -> str:
    """The department on that day."""
    segment = employee.state.projection.at(day)
    assert segment is not None
    assert segment.work is not None
    return segment.work.assignment.department


def raise_to(employee: Employee, day: date, amount: str) -> Any:
    """The id of the recorded raise."""
    recording = a_recording()
    employee.change_compensation(day, {"compensation": monthly(amount)}, recording)
    return recording.change_id


def test_a_hire_holds_from_the_first_day_for_ever() -> None:
    employee = an_employee()

    [segment] = employee.state.projection.segments
    assert (segment.start, segment.end) == (BEGINNING, FOREVER)
    assert segment.spell == Spell(FIRST_DAY)
    assert segment.status(FIRST_DAY - timedelta(days=1)) is EmployeeStatus.PENDING
    assert segment.status(FIRST_DAY) is EmployeeStatus.ACTIVE


def test_a_change_holds_until_the_next_change_of_the_same_field() -> None:
    employee = an_employee()
    raise_to(employee, SEPTEMBER, "30000.00")
    raise_to(employee, JULY, "25000.00")

    employee.transfer(AUGUST, {"department": "OPS"}, None, a_recording())

    days = (FIRST_DAY, JULY, AUGUST, SEPTEMBER)
    assert [amount_on(employee, day) for day in days] == ["20000.00", "25000.00", "25000.00", "30000.00"]
    assert [department_on(employee, day) for day in days] == ["ENG", "ENG", "OPS", "OPS"]


def test_a_promotion_changes_position_and_pay_in_one_change() -> None:
    employee = an_employee()
    recording = a_recording(reason="ANNUAL_REVIEW")

    employee.promote(JULY, {"position": "LEAD", "grade": "P7"}, monthly("30000.00"), recording)

    assert employee.pull_events() == (
        EmployeeTransferred(employee.state.id, recording.change_id, JULY, ("compensation", "grade", "position")),
    )
    assert amount_on(employee, JULY) == "30000.00"
    assert employee.state.changes[-1].kind is ChangeKind.PROMOTION


def test_a_promotion_may_leave_the_pay_as_it_is() -> None:
    employee = an_employee()

    employee.promote(JULY, {"position": "LEAD"}, None, a_recording())

    assert amount_on(employee, JULY) == "20000.00"
    with pytest.raises(NothingChanges):
        employee.promote(JULY, {"position": "LEAD"}, None, a_recording())
    with pytest.raises(NotEmployed):
        employee.promote(FIRST_DAY - timedelta(days=1), {"position": "LEAD"}, None, a_recording())


def test_a_change_of_the_manager_stands_in_the_history_as_one() -> None:
    employee, boss = an_employee(), EmployeeId(uuid4())

    employee.change_manager(JULY, boss, a_recording())

    assert employee.state.changes[-1].kind is ChangeKind.MANAGER
    with pytest.raises(NothingChanges):
        employee.change_manager(AUGUST, boss, a_recording())
    with pytest.raises(ManagerCycle):
        employee.change_manager(AUGUST, employee.state.id, a_recording())


def test_a_correction_of_a_promotion_stands_in_its_place_until_it_is_called_off() -> None:
    employee = an_employee()
    employee.promote(JULY, {"position": "LEAD"}, monthly("30000.00"), a_recording())
    promotion = employee.state.changes[-1]

    employee.correct(promotion.change_id, AUGUST, {"compensation": monthly("28000.00")}, a_recording())
    corrected = [amount_on(employee, day) for day in (JULY, AUGUST)]
    employee.cancel(employee.state.changes[-1].change_id, a_recording())

    assert corrected == ["20000.00", "28000.00"]
    assert [amount_on(employee, day) for day in (JULY, AUGUST)] == ["30000.00", "30000.00"]


def test_nothing_changes_before_the_first_day() -> None:
    employee = an_employee()

    with pytest.raises(NotEmployed):
        raise_to(employee, FIRST_DAY - timedelta(days=1), "25000.00")
    with pytest.raises(ChangesLeftOutside):
        employee.update_person(FIRST_DAY - timedelta(days=1), {"preferred_name": "Wei"}, a_recording())


def test_a_change_to_what_holds_already_is_refused() -> None:
    employee = an_employee()

    with pytest.raises(NothingChanges):
        employee.transfer(JULY, {"department": "ENG"}, None, a_recording())


def test_a_termination_ends_the_spell_and_cancels_what_was_planned_after_it() -> None:
    employee = an_employee()
    raise_to(employee, SEPTEMBER, "30000.00")
    recording = a_recording()

    employee.terminate(AUGUST, EndReason.RESIGNATION, recording)

    assert employee.state.projection.spells == (Spell(FIRST_DAY, AUGUST + timedelta(days=1), EndReason.RESIGNATION),)
    assert amount_on(employee, SEPTEMBER) == "20000.00"
    assert employee.pull_events()[-1] == EmployeeTerminated(employee.state.id, recording.change_id, AUGUST)
    with pytest.raises(SpellHasEnd):
        employee.terminate(JULY, EndReason.DISMISSAL, a_recording())
    with pytest.raises(NotEmployed):
        employee.terminate(SEPTEMBER, EndReason.DISMISSAL, a_recording())
    with pytest.raises(NotEmployed):
        raise_to(employee, SEPTEMBER, "30000.00")


def test_the_last_day_may_be_the_first_and_not_before_it() -> None:
    employee = an_employee()

    with pytest.raises(NotEmployed):
        employee.terminate(FIRST_DAY - timedelta(days=1), EndReason.DISMISSAL, a_recording())
    employee.terminate(FIRST_DAY, EndReason.DISMISSAL, a_recording())

    assert employee.state.projection.spell_on(FIRST_DAY) is not None


def test_a_rehire_keeps_the_identity_and_nothing_of_the_earlier_terms() -> None:
    employee = an_employee()
    fields: dict[str, Any] = {f"{ALLOWANCE}MEAL": monthly("500.00"), f"{STATUTORY}CN.city": "SHANGHAI"}
    employee.change_compensation(JULY, {f"{ALLOWANCE}MEAL": fields[f"{ALLOWANCE}MEAL"]}, a_recording())
    employee.change_statutory_profile(JULY, "CN", {f"{STATUTORY}CN.city": "SHANGHAI"}, a_recording())
    employee.terminate(AUGUST, EndReason.RESIGNATION, a_recording())
    with pytest.raises(SpellsOverlap):
        employee.rehire(AUGUST, some_work(), a_recording())

    employee.rehire(SEPTEMBER, some_work("18000.00"), a_recording())

    before, after = employee.state.projection.at(AUGUST), employee.state.projection.at(SEPTEMBER)
    assert before is not None
    assert after is not None
    assert before.work is not None
    assert after.work is not None
    assert (before.work.allowances, before.work.statutory) == (
        (("MEAL", monthly("500.00")),),
        (("CN", (("city", "SHANGHAI"),)),),
    )
    assert (after.work.allowances, after.work.statutory) == ((), ())
    assert before.status(AUGUST + timedelta(days=2)) is EmployeeStatus.TERMINATED
    assert [spell.start for spell in employee.state.projection.spells] == [FIRST_DAY, SEPTEMBER]


def test_a_correction_takes_the_place_of_what_was_recorded_wrongly() -> None:
    employee = an_employee()
    wrong = raise_to(employee, JULY, "52000.00")
    raise_to(employee, SEPTEMBER, "30000.00")
    between = employee.state.last_record_time
    recording = a_recording(day=1)

    employee.correct(wrong, AUGUST, {"compensation": monthly("25000.00")}, recording)

    days = (JULY, AUGUST, SEPTEMBER)
    assert [amount_on(employee, day) for day in days] == ["20000.00", "25000.00", "30000.00"]
    assert between is not None
    then = fold(known_at(employee.state.changes, between)).at(JULY)
    assert then is not None
    assert then.work is not None
    assert str(then.work.compensation) != "None"
    assert employee.pull_events()[-1] == EmployeeCorrected(
        employee.state.id, recording.change_id, wrong, JULY, cancelled=False
    )
    with pytest.raises(ChangeNoLongerStands):
        employee.correct(wrong, JULY, {"compensation": monthly("1.00")}, a_recording())


def test_what_is_corrected_twice_says_what_the_last_correction_says() -> None:
    employee = an_employee()
    wrong = raise_to(employee, JULY, "52000.00")

    for day, amount in ((AUGUST, "25000.00"), (SEPTEMBER, "26000.00"), (SEPTEMBER, "27000.00")):
        employee.correct(wrong, day, {"compensation": monthly(amount)}, a_recording())
        wrong = employee.state.changes[-1].change_id

    assert [amount_on(employee, day) for day in (JULY, AUGUST, SEPTEMBER)] == ["20000.00", "20000.00", "27000.00"]


def test_a_hire_is_postponed_twice() -> None:
    employee = an_employee()

    employee.correct(employee.state.changes[0].change_id, JULY, {}, a_recording())
    employee.correct(employee.state.changes[1].change_id, AUGUST, {}, a_recording())

    assert employee.state.projection.spells == (Spell(AUGUST),)


def test_a_correction_that_is_taken_back_leaves_the_change_and_what_followed_it() -> None:
    employee = an_employee()
    before = employee.state.projection
    employee.correct(employee.state.changes[0].change_id, JULY, {}, a_recording())
    postponed = employee.state.changes[-1].change_id
    raise_to(employee, SEPTEMBER, "30000.00")

    employee.cancel(postponed, a_recording())

    assert employee.state.projection.spells == before.spells
    assert [amount_on(employee, day) for day in (FIRST_DAY, SEPTEMBER)] == ["20000.00", "30000.00"]


def test_what_was_corrected_is_taken_back_with_its_corrections() -> None:
    employee = an_employee()
    before = employee.state.projection
    wrong = raise_to(employee, JULY, "52000.00")
    employee.correct(wrong, AUGUST, {"compensation": monthly("25000.00")}, a_recording())
    middle = employee.state.changes[-1].change_id
    employee.correct(middle, SEPTEMBER, {}, a_recording())

    employee.cancel(middle, a_recording())
    back = [amount_on(employee, day) for day in (JULY, SEPTEMBER)]
    employee.cancel(wrong, a_recording())

    assert back == ["52000.00", "52000.00"]
    assert employee.state.projection == before
    with pytest.raises(ChangeNoLongerStands):
        employee.cancel(wrong, a_recording())


def test_a_postponed_hire_is_rescinded_with_everything_of_its_spell() -> None:
    employee = an_employee()
    hire_id = employee.state.changes[0].change_id
    employee.correct(hire_id, JULY, {"legal_name": "Li Wei-Zhang"}, a_recording())
    raise_to(employee, SEPTEMBER, "30000.00")
    before = employee.state.projection

    employee.cancel(hire_id, a_recording())
    [segment] = employee.state.projection.segments
    with pytest.raises(ChangeNoLongerStands):
        employee.cancel(hire_id, a_recording())
    employee.cancel(employee.state.changes[-1].change_id, a_recording())

    assert (segment.spell, segment.work, segment.person.legal_name) == (None, None, "Li Wei-Zhang")
    assert employee.state.projection == before


def test_a_rescinded_hire_whose_person_was_corrected_stays_rescinded_until_that_is_taken_back() -> None:
    employee = an_employee()
    hire_id, before = employee.state.changes[0].change_id, employee.state.projection
    employee.cancel(hire_id, a_recording())
    rescission = employee.state.changes[-1].change_id
    employee.correct(rescission, None, {"legal_name": "Li Wei-Zhang"}, a_recording())

    with pytest.raises(ChangeNoLongerStands):
        employee.cancel(hire_id, a_recording())
    employee.cancel(rescission, a_recording())

    assert employee.state.projection == before


def test_a_leaver_whose_coming_raise_was_corrected_leaves_all_the_same() -> None:
    employee = an_employee()
    employee.correct(
        raise_to(employee, SEPTEMBER, "52000.00"), None, {"compensation": monthly("25000.00")}, a_recording()
    )
    before = employee.state.projection

    employee.terminate(AUGUST, EndReason.RESIGNATION, a_recording())
    termination = employee.state.changes[-1].change_id
    left = employee.state.projection.spells
    employee.correct(termination, JULY, {}, a_recording())
    employee.correct(employee.state.changes[-1].change_id, SEPTEMBER, {}, a_recording())
    later = employee.state.projection.spells
    employee.cancel(termination, a_recording())

    assert left == (Spell(FIRST_DAY, AUGUST + timedelta(days=1), EndReason.RESIGNATION),)
    assert later == (Spell(FIRST_DAY, SEPTEMBER, EndReason.RESIGNATION),)
    assert employee.state.projection == before


def test_a_change_that_was_called_off_by_mistake_is_brought_back() -> None:
    employee = an_employee()
    planned = raise_to(employee, SEPTEMBER, "30000.00")
    employee.cancel(planned, a_recording())

    employee.cancel(employee.state.changes[-1].change_id, a_recording())

    assert amount_on(employee, SEPTEMBER) == "30000.00"


def test_a_corrected_hire_keeps_the_changes_of_its_own_first_day() -> None:
    employee = an_employee()
    hire_id = employee.state.changes[0].change_id
    employee.transfer(FIRST_DAY, {"department": "OPS"}, None, a_recording())

    employee.correct(hire_id, None, {"legal_name": "Li Wei-Zhang"}, a_recording())

    assert department_on(employee, FIRST_DAY) == "OPS"


def test_a_hire_cannot_be_moved_past_what_was_recorded_in_it() -> None:
    employee = an_employee()
    raise_to(employee, JULY, "25000.00")

    with pytest.raises(ChangesLeftOutside):
        employee.correct(employee.state.changes[0].change_id, AUGUST, {}, a_recording())
    employee.correct(employee.state.changes[0].change_id, JULY, {}, a_recording())

    assert employee.state.projection.spells == (Spell(JULY),)


def test_a_corrected_termination_cancels_what_lies_after_the_new_last_day() -> None:
    employee = an_employee()
    raise_to(employee, AUGUST, "25000.00")
    employee.terminate(SEPTEMBER, EndReason.RESIGNATION, a_recording())
    termination = employee.state.changes[-1].change_id

    employee.correct(termination, JULY, {}, a_recording())

    assert employee.state.projection.spells == (Spell(FIRST_DAY, JULY, EndReason.RESIGNATION),)
    assert amount_on(employee, SEPTEMBER) == "20000.00"
    with pytest.raises(FactOutOfRange):
        employee.correct(employee.state.changes[-1].change_id, None, {"department": "OPS"}, a_recording())


def test_a_rescinded_termination_brings_back_what_it_had_cancelled() -> None:
    employee = an_employee()
    raise_to(employee, SEPTEMBER, "30000.00")
    before = employee.state.projection
    employee.terminate(AUGUST, EndReason.RESIGNATION, a_recording())

    employee.cancel(employee.state.changes[-1].change_id, a_recording())

    assert employee.state.projection == before


def test_a_rescinded_first_hire_leaves_the_person_and_no_spell() -> None:
    employee = an_employee()
    raise_to(employee, JULY, "25000.00")

    employee.cancel(employee.state.changes[0].change_id, a_recording())

    [segment] = employee.state.projection.segments
    assert (segment.spell, segment.work, segment.person.legal_name) == (None, None, "Li Wei")
    assert segment.status(JULY) is EmployeeStatus.TERMINATED
    employee.rehire(AUGUST, some_work(), a_recording())
    assert employee.state.projection.spells == (Spell(AUGUST),)


def test_a_rescinded_rehire_leaves_the_earlier_spell_as_it_was() -> None:
    employee = an_employee()
    employee.terminate(JULY, EndReason.RESIGNATION, a_recording())
    before = employee.state.projection
    employee.rehire(AUGUST, some_work(), a_recording())
    rehire = employee.state.changes[-1].change_id
    raise_to(employee, SEPTEMBER, "30000.00")

    employee.cancel(rehire, a_recording())

    assert employee.state.projection == before


def test_a_rehire_of_the_next_day_is_rescinded_and_the_termination_before_it_stands() -> None:
    employee = an_employee()
    employee.terminate(JULY - timedelta(days=1), EndReason.MUTUAL_AGREEMENT, a_recording())
    before = employee.state.projection
    employee.rehire(JULY, some_work(), a_recording())

    employee.cancel(employee.state.changes[-1].change_id, a_recording())

    assert employee.state.projection == before


def test_a_future_change_is_cancelled_by_itself() -> None:
    employee = an_employee()
    planned = raise_to(employee, SEPTEMBER, "30000.00")

    employee.cancel(planned, a_recording())

    assert amount_on(employee, SEPTEMBER) == "20000.00"
    with pytest.raises(ChangeNoLongerStands):
        employee.cancel(planned, a_recording())
    with pytest.raises(ChangeNotFound):
        employee.cancel(uuid4(), a_recording())


def test_an_end_reason_belongs_to_terminations_only() -> None:
    employee = an_employee()

    with pytest.raises(FactOutOfRange):
        employee.correct(employee.state.changes[0].change_id, None, {END_REASON: EndReason.DEATH}, a_recording())


def test_nobody_is_their_own_manager() -> None:
    employee = an_employee()

    with pytest.raises(ManagerCycle):
        employee.transfer(JULY, {"manager_id": employee.state.id}, None, a_recording())


def test_dates_that_no_company_means_are_refused() -> None:
    with pytest.raises(DateOutOfRange):
        an_employee(hire_date=date(1899, 12, 31))


def test_record_times_rise_even_when_the_clock_stands_still() -> None:
    employee = an_employee()
    for index in range(3):
        raise_to(employee, JULY, f"{25000 + index}.00")

    times = [change.record_time for change in employee.state.changes]

    assert times == sorted(set(times))


# ----------------------------------------------------------------------------------------------- properties

days = st.integers(0, 60).map(lambda offset: FIRST_DAY + timedelta(days=offset))
verbs = st.one_of(
    st.tuples(st.just("raise"), days, st.integers(1, 5)),
    st.tuples(st.just("transfer"), days, st.sampled_from(["ENG", "OPS", "HQ"])),
    st.tuples(st.just("rename"), days, st.sampled_from(["Wei", "Xiao Wei"])),
    st.tuples(st.just("terminate"), days, st.sampled_from(EndReason)),
    st.tuples(st.just("rehire"), days, st.integers(1, 5)),
    st.tuples(st.just("correct"), days, st.integers(0, 9)),
    st.tuples(st.just("cancel"), days, st.integers(0, 9)),
)


def play(employee: Employee, verb: str, day: date, value: Any) -> None:
    """Do one thing, as far as it is allowed."""
    changes = employee.state.changes
    recording = a_recording()
    try:
        if verb == "raise":
            employee.change_compensation(day, {"compensation": monthly(f"{value}000.00")}, recording)
        elif verb == "transfer":
            employee.transfer(day, {"department": value}, None, recording)
        elif verb == "rename":
            employee.update_person(day, {"preferred_name": value}, recording)
        elif verb == "terminate":
            employee.terminate(day, value, recording)
        elif verb == "rehire":
            employee.rehire(day, some_work(f"{value}000.00"), recording)
        elif verb == "correct":
            employee.correct(changes[value % len(changes)].change_id, day, {}, recording)
        else:
            employee.cancel(changes[value % len(changes)].change_id, recording)
    except DomainError:
        assert employee.state.changes == changes


@given(st.lists(verbs, max_size=12))
def test_whatever_is_recorded_the_timelines_hold_together(played: list[tuple[str, date, Any]]) -> None:
    employee = an_employee()

    for verb, day, value in played:
        play(employee, verb, day, value)

    projection = employee.state.projection
    segments, spells = projection.segments, projection.spells
    assert segments[0].start == BEGINNING
    assert segments[-1].end == FOREVER
    assert all(one.end == other.start for one, other in itertools.pairwise(segments))
    assert all(
        (one.spell, one.person, one.work) != (other.spell, other.person, other.work)
        for one, other in itertools.pairwise(segments)
    )
    assert all(spell.start < spell.end for spell in spells)
    assert all(one.end <= other.start for one, other in itertools.pairwise(spells))
    for spell in spells:
        inside = [segment for segment in segments if segment.start < spell.end and segment.end > spell.start]
        assert all(segment.work is not None and segment.spell == spell for segment in inside)
    assert restored(employee.state.id, "E1", employee.state.changes).state == employee.state


@given(st.lists(verbs, min_size=1, max_size=12))
def test_what_was_known_at_an_instant_never_changes(played: list[tuple[str, date, Any]]) -> None:
    employee = an_employee()
    remembered = [(employee.state.changes[-1].record_time, employee.state.projection)]

    for verb, day, value in played:
        play(employee, verb, day, value)
        remembered.append((employee.state.changes[-1].record_time, employee.state.projection))

    assert all(fold(known_at(employee.state.changes, time)) == then for time, then in remembered)
    assert fold(known_at(employee.state.changes, START - timedelta(days=1))).segments == ()


@given(st.lists(verbs, min_size=1, max_size=12))
def test_taking_back_the_latest_change_brings_back_what_was_before_it(played: list[tuple[str, date, Any]]) -> None:
    employee = an_employee()
    for verb, day, value in played:
        play(employee, verb, day, value)
    *earlier, latest = employee.state.changes
    if not earlier:
        return  # of a first hire the person remains

    employee.cancel(latest.change_id, a_recording())

    assert employee.state.projection == fold(earlier)


@given(days, st.lists(st.tuples(days, st.integers(1, 5)), min_size=1, max_size=5))
def test_corrections_one_after_the_other_say_what_the_last_one_says(
    first: date, corrections: list[tuple[date, int]]
) -> None:
    employee, plain = an_employee(), an_employee()
    wrong = raise_to(employee, first, "99000.00")
    for day, thousands in corrections:
        raised = {"compensation": monthly(f"{thousands}000.00")}
        with contextlib.suppress(NothingChanges):  # it says so already
            employee.correct(employee.state.changes[-1].change_id, day, raised, a_recording())
    day, thousands = corrections[-1]
    raise_to(plain, day, f"{thousands}000.00")

    asked = [FIRST_DAY + timedelta(days=offset) for offset in range(62)]
    assert [amount_on(employee, one) for one in asked] == [amount_on(plain, one) for one in asked]
    employee.cancel(wrong, a_recording())
    assert {amount_on(employee, one) for one in asked} == {"20000.00"}
