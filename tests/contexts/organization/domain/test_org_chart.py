"""What the org chart guards, without storage."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contexts.organization.domain.errors import (
    DateOutOfRange,
    DepartmentCycle,
    EntryInUse,
    EntryNotFound,
    EntryNotValid,
    NothingChanges,
)
from contexts.organization.domain.events import OrgChartPublished
from contexts.organization.domain.org_chart import (
    Content,
    Department,
    EntryChange,
    EntryKind,
    OrgChart,
    OrgChartState,
    Position,
    WithholdingRegistration,
    lost_days,
)
from kernel.errors import DomainError
from kernel.ids import TenantId
from kernel.period import FOREVER, Period
from tests.support.organization import FOUNDED, START, acme, an_entry

JULY = date(2026, 7, 1)
DEPARTMENT = EntryKind.DEPARTMENT


def a_chart() -> OrgChart:
    """Acme's chart."""
    chart = OrgChart(OrgChartState(TenantId(uuid4())))
    chart.publish(acme(), START)
    chart.pull_events()
    return chart


def closing(code: str, day: date = JULY, kind: EntryKind = DEPARTMENT) -> EntryChange:
    """A closure."""
    return EntryChange(kind, code, day, None)


def test_publishing_gives_the_chart_its_next_version() -> None:
    chart = a_chart()

    chart.publish([an_entry("LAB", Department("ENG"), JULY)], START)

    assert chart.state.version == 2
    assert chart.pull_events() == (OrgChartPublished(2, ((DEPARTMENT, "LAB", JULY, False),)),)
    assert chart.state.publish_time is not None
    assert chart.state.publish_time > START


def test_an_entry_needs_what_it_refers_to_on_all_its_days() -> None:
    chart = a_chart()

    with pytest.raises(EntryNotValid):
        chart.publish([an_entry("LAB", Department("NOWHERE"), JULY)], START)
    with pytest.raises(EntryNotValid):
        chart.publish(
            [an_entry("TESTER", Position("QA"), JULY), an_entry("QA", Department("HQ"), FOUNDED.replace(year=2027))],
            START,
        )
    with pytest.raises(EntryNotValid):
        chart.publish([an_entry("CN-1", WithholdingRegistration("ACME-DE", "CN", "CNY"))], START)
    chart.publish([an_entry("TESTER", Position("QA"), JULY), an_entry("QA", Department("HQ"), JULY)], START)


def test_what_others_refer_to_cannot_be_closed() -> None:
    chart = a_chart()

    with pytest.raises(EntryInUse):
        chart.publish([closing("HQ")], START)
    with pytest.raises(EntryInUse):
        chart.publish([closing("ENG")], START)
    chart.publish([closing("HQ"), closing("ENG"), closing("OPS"), closing("ENGINEER", kind=EntryKind.POSITION)], START)

    assert chart.state.content().at(DEPARTMENT, "HQ", JULY) is None
    assert chart.state.content().at(DEPARTMENT, "HQ", JULY - timedelta(days=1)) is not None


def test_a_refused_closing_tells_who_stands_in_the_way_and_how_many() -> None:
    chart = a_chart()
    chart.publish([an_entry(f"LAB-{index}", Department("ENG"), JULY) for index in range(7)], START)

    with pytest.raises(EntryInUse) as labs:
        chart.publish([closing("ENG"), closing("ENGINEER", kind=EntryKind.POSITION)], START)
    with pytest.raises(EntryInUse) as position:
        chart.publish([closing("ENG", date(2026, 6, 1)), *(closing(f"LAB-{index}") for index in range(7))], START)

    assert labs.value.message == (
        "LAB-0, LAB-1, LAB-2, LAB-3, LAB-4 and 2 more still refer to ENG from 2026-07-01 on: move or close them first"
    )
    assert labs.value.facts == {"code": "ENG", "count": 7, "used_by": "LAB-0,LAB-1,LAB-2,LAB-3,LAB-4"}
    assert position.value.facts["used_by"] == "ENGINEER"


def test_a_department_that_moves_takes_along_what_stands_below_it() -> None:
    chart = a_chart()

    chart.publish([an_entry("ENG", Department("OPS"), JULY)], START)

    content = chart.state.content()
    before, after = (content.at(DEPARTMENT, "ENG", day) for day in (JULY - timedelta(days=1), JULY))
    position = content.at(EntryKind.POSITION, "ENGINEER", JULY)
    assert before is not None
    assert after is not None
    assert position is not None
    assert (before.detail, after.detail) == (Department("HQ"), Department("OPS"))
    assert position.detail == Position("ENG", 10)


def test_what_is_not_open_cannot_be_closed() -> None:
    chart = a_chart()

    with pytest.raises(EntryNotFound):
        chart.publish([closing("LAB")], START)


def test_no_department_stands_above_itself_on_any_day() -> None:
    chart = a_chart()
    chart.publish([an_entry("OPS", Department("ENG"), date(2027, 1, 1))], START)

    with pytest.raises(DepartmentCycle):
        chart.publish([an_entry("HQ", Department("HQ"))], START)
    with pytest.raises(DepartmentCycle):
        chart.publish([an_entry("ENG", Department("OPS"), JULY)], START)


def test_one_change_set_names_an_entry_once_a_day_and_says_something_new() -> None:
    chart = a_chart()

    with pytest.raises(DateOutOfRange):
        chart.publish([an_entry("LAB", Department(), JULY), an_entry("LAB", Department("HQ"), JULY)], START)
    with pytest.raises(DateOutOfRange):
        chart.publish([an_entry("LAB", Department(), date(1800, 1, 1))], START)
    with pytest.raises(NothingChanges):
        chart.publish([an_entry("ENG", Department("HQ"), JULY)], START)
    with pytest.raises(NothingChanges):
        chart.publish([], START)


def test_the_days_that_a_closure_takes_are_told() -> None:
    chart = a_chart()
    before = chart.state.content()
    changes = [closing("OPS", JULY)]

    chart.publish([*changes, an_entry("OPS", Department(), date(2027, 1, 1))], START)

    after = chart.state.content()
    assert lost_days(before, after, changes) == [((DEPARTMENT, "OPS"), Period(JULY, date(2027, 1, 1)))]
    assert after.open_periods(DEPARTMENT, "OPS") == (Period(FOUNDED, JULY), Period(date(2027, 1, 1), FOREVER))


changes = st.lists(
    st.tuples(
        st.sampled_from(["HQ", "ENG", "OPS"]), st.integers(0, 30), st.sampled_from(["", "HQ", "ENG", "OPS", "-"])
    ),
    max_size=10,
)


@given(changes)
def test_content_at_a_version_is_the_same_for_ever(published: list[tuple[str, int, str]]) -> None:
    chart = a_chart()
    remembered: dict[int, Content] = {}

    for code, offset, parent in published:
        day = JULY + timedelta(days=offset)
        try:
            chart.publish([closing(code, day) if parent == "-" else an_entry(code, Department(parent), day)], START)
        except DomainError:
            continue
        finally:
            remembered[chart.state.version] = chart.state.content()

    for version, then in remembered.items():
        assert Content.of(chart.state.changes, version) == then
