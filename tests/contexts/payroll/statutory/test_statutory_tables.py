"""Effective-dated tables: found by their key date, refused outside it, told apart by their content."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from contexts.payroll.domain.statutory import ChinaPack, pack
from contexts.payroll.domain.statutory.cn import contributions
from contexts.payroll.domain.statutory.cn.tables import TABLES
from contexts.payroll.domain.statutory.errors import StatutoryTableMissing, UnknownCountry
from contexts.payroll.domain.statutory.table import KeyDate, TableRow, Tables


def row(effective: date, amount: int, until: date | None = None, position: int = 1) -> TableRow:
    values = (("amount", Decimal(amount)),)
    return TableRow("wage.floor", KeyDate.WORK_DATE, "TOWN", effective, until, position, values, "a notice")


FIRST, SECOND = row(date(2025, 1, 1), 10), row(date(2026, 1, 1), 11)


def test_a_row_holds_until_the_next_one_of_its_table() -> None:
    tables = Tables("XX", date(2026, 1, 1), [SECOND, FIRST])

    assert tables.row("wage.floor", date(2025, 1, 1), "TOWN") is FIRST
    assert tables.row("wage.floor", date(2025, 12, 31), "TOWN") is FIRST
    assert tables.row("wage.floor", date(2030, 1, 1), "TOWN") is SECOND


@pytest.mark.parametrize(
    ("table", "day", "place"),
    [
        ("wage.floor", date(2024, 12, 31), "TOWN"),
        ("wage.floor", date(2025, 1, 1), "VILLAGE"),
        ("wage.floor", date(2025, 1, 1), ""),
        ("wage.ceiling", date(2025, 1, 1), "TOWN"),
    ],
)
def test_a_lookup_never_falls_back(table: str, day: date, place: str) -> None:
    with pytest.raises(StatutoryTableMissing) as refused:
        Tables("XX", date(2026, 1, 1), [FIRST, SECOND]).row(table, day, place)

    assert refused.value.facts == {"table": table, "city": place, "date": day.isoformat()}


def test_a_row_with_an_end_leaves_a_gap_after_it() -> None:
    tables = Tables("XX", date(2026, 1, 1), [row(date(2025, 1, 1), 10, date(2025, 6, 30)), SECOND])

    assert tables.holds("wage.floor", date(2025, 6, 30), "TOWN")
    assert not tables.holds("wage.floor", date(2025, 7, 1), "TOWN")
    assert tables.holds("wage.floor", date(2026, 1, 1), "TOWN")


def test_two_versions_never_overlap_and_two_rows_never_share_a_key() -> None:
    with pytest.raises(ValueError, match="two versions"):
        Tables("XX", date(2026, 1, 1), [row(date(2025, 1, 1), 10, date(2026, 6, 30)), SECOND])
    with pytest.raises(ValueError, match="two rows"):
        Tables("XX", date(2026, 1, 1), [FIRST, FIRST])


def test_a_changed_value_changes_the_version_of_the_pack() -> None:
    versions = {pack("CN").version}
    for key in ("iit.annual_table@2019-01-01#1", "iit.annual_table@2019-01-01#2"):
        versions.add(ChinaPack(TABLES.altered(key, "rate", Decimal("0.5"))).version)

    assert len(versions) == 3
    assert all(version.startswith("CN-2026.11+") for version in versions)


def test_only_a_known_value_can_be_altered() -> None:
    with pytest.raises(KeyError):
        TABLES.altered("iit.annual_table@2019-01-01#99", "rate", Decimal(0))
    with pytest.raises(KeyError):
        TABLES.altered("iit.annual_table@2019-01-01#1", "colour", Decimal(0))


def test_every_row_of_china_names_its_source_and_is_found_on_its_first_day() -> None:
    for found in TABLES.rows:
        assert found.source
        assert found in TABLES.at(found.table, found.effective_from, found.place)
        assert TABLES.by_key(found.key) is found


def test_a_table_is_picked_by_one_kind_of_date() -> None:
    kinds: dict[str, set[KeyDate]] = {}
    for found in TABLES.rows:
        kinds.setdefault(found.table, set()).add(found.key_date)

    assert all(len(dates) == 1 for dates in kinds.values())
    assert kinds["iit.annual_table"] == {KeyDate.PAY_DATE}
    assert kinds["social_insurance.base.pension"] == {KeyDate.CONTRIBUTION_MONTH}
    assert kinds["labour.overtime"] == {KeyDate.WORK_DATE}
    assert kinds["labour.severance"] == {KeyDate.EVENT_DATE}


def test_tax_brackets_are_continuous() -> None:
    for table in ("iit.annual_table", "iit.monthly_table", "iit.labour_remuneration_resident_withholding"):
        rows = TABLES.at(table, TABLES.edition)
        for lower, upper in pairwise(rows):
            edge = upper["over"]
            assert lower["up_to"] == edge
            assert edge * lower["rate"] - lower["quick_deduction"] == edge * upper["rate"] - upper["quick_deduction"]
        assert rows[-1].get("up_to") is None


def test_an_unknown_country_is_refused() -> None:
    with pytest.raises(UnknownCountry):
        pack("XX")


def test_a_resolved_month_does_not_outlive_its_bound() -> None:
    insurance = ChinaPack().social_insurance
    enrolment = contributions.Enrolment("SHANGHAI", Decimal(9000), None, Decimal(0), Decimal(0))
    first = insurance.assess(enrolment, date(2026, 7, 1))
    for offset in range(contributions.MAX_RESOLVED + 1):
        insurance.assess(enrolment, date(2026, 7, 1) + timedelta(days=offset))

    assert insurance.assess(enrolment, date(2026, 7, 1)).employee_total == first.employee_total
    assert insurance.resolved_months <= contributions.MAX_RESOLVED
