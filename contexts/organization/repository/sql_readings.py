"""Employees and the org chart in SQL, for queries: one or two statements a page, documents passed on as they stand."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import Tx, select
from chassis.tables import feed_head
from contexts.organization.domain.errors import EntryNotFound
from contexts.organization.domain.history import Change, ChangeKind
from contexts.organization.domain.org_chart import Content, EntryKind, Reference
from contexts.organization.domain.values import BEGINNING, EmployeeStatus, EndReason, Spell
from contexts.organization.repository.documents import sealed_from_json
from contexts.organization.repository.port import (
    Changed,
    ChangedPage,
    Criteria,
    EmployeeReading,
    Listed,
    PayQuestion,
    Reporting,
    SegmentReading,
    SlicePage,
    Sort,
)
from contexts.organization.repository.sql import change_from_row, entry_change_from_row, of_references
from contexts.organization.repository.tables import (
    STILL_KNOWN,
    employee,
    employee_change,
    employee_segment,
    metadata,
    org_chart,
    org_chart_change,
)
from kernel.ids import EmployeeId
from kernel.period import FOREVER, Period

IN_LIST = 500
MOST_SEGMENTS_IN_A_PERIOD = 401  # a period has at most 400 days, and each segment at least one
RECENT_CHANGES = 1000
FEW = 500  # rows that are sorted rather than walked

_head, _segment, _change = employee.c, employee_segment.c, employee_change.c
_outbox = metadata.tables["outbox"]

_as_of = sa.bindparam("as_of", type_=_segment.valid_from.type)
_known_at = sa.bindparam("known_at", type_=_segment.recorded_from.type)
_ids = sa.bindparam("ids", expanding=True, type_=_segment.employee_id.type)
_after = sa.bindparam("after", type_=_segment.employee_id.type)
_known_now = _segment.recorded_to == STILL_KNOWN
_known_then = sa.and_(_segment.recorded_from <= _known_at, _segment.recorded_to > _known_at)
_holds = sa.and_(_segment.valid_from <= _as_of, _segment.valid_to > _as_of)

_FACTS = (
    _segment.employee_id,
    _segment.employee_number,
    _segment.spell_start,
    _segment.spell_end,
    _segment.end_reason,
    _segment.person,
    _segment.work,
    _segment.sealed,
    _head.version,
    _head.last_record_time,
)
_same = sa.and_(_head.tenant_id == _segment.tenant_id, _head.employee_id == _segment.employee_id)
_tenant = sa.bindparam("tenant_id", type_=_segment.tenant_id.type)
_facts = sa.select(*_FACTS).where(_segment.tenant_id == _tenant, _head.tenant_id == _tenant, _holds)
_with_head = _facts.select_from(employee_segment.join(employee, _same))
# MariaDB and MySQL underrate how early a limit ends an ordered walk; these begin at the table that is said first.
_segments_first, _heads_first = (
    _facts.select_from(tables)
    .prefix_with("STRAIGHT_JOIN", dialect="mysql")
    .prefix_with("STRAIGHT_JOIN", dialect="mariadb")
    for tables in (employee_segment.join(employee, _same), employee.join(employee_segment, _same))
)
_id = sa.bindparam("employee_id", type_=_segment.employee_id.type)
_one = {
    known: _with_head.where(_segment.employee_id == _id, _head.employee_id == _id, condition)
    for known, condition in ((False, _known_now), (True, _known_then))
}
_many = {
    known: _with_head.where(_segment.employee_id.in_(_ids), condition)
    for known, condition in ((False, _known_now), (True, _known_then))
}
_history = {
    False: select(employee_change).where(_change.employee_id == _id).order_by(_change.version),
    True: select(employee_change)
    .where(_change.employee_id == _id, _change.record_time <= _known_at)
    .order_by(_change.version),
}

_start = sa.bindparam("period_start", type_=_segment.valid_from.type)
_end = sa.bindparam("period_end", type_=_segment.valid_from.type)
_STRETCH = (
    _segment.employee_id,
    _segment.employee_number,
    _segment.valid_from,
    _segment.valid_to,
    _segment.spell_start,
    _segment.spell_end,
    _segment.end_reason,
    _segment.location,
    _segment.work,
)
_employed = sa.and_(_segment.valid_from < _segment.spell_end, _segment.spell_start < _segment.valid_to)
_slice_all = (
    select(employee_segment, *_STRETCH)
    .where(
        _segment.pay_group == sa.bindparam("pay_group"),
        _segment.employee_id > _after,
        _segment.valid_from < _end,
        _segment.valid_to > _start,
        _segment.spell_start < _end,
        _segment.spell_end > _start,
        _employed,
    )
    .order_by(_segment.employee_id, _segment.valid_from)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)
_slice = {False: _slice_all.where(_known_now), True: _slice_all.where(_known_then)}
_roster = (
    select(employee_segment, *_STRETCH)
    .where(
        _segment.employee_id.in_(_ids),
        _known_now,
        _employed,
        _segment.valid_to > _start,
        _segment.spell_end > _start,
    )
    .order_by(_segment.employee_id, _segment.valid_from)
)
_versions = select(employee, _head.employee_id, _head.employee_number, _head.version).where(_head.employee_id.in_(_ids))
_in_pay_group = sa.exists(
    sa.select(sa.literal(1)).where(
        _segment.tenant_id == _change.tenant_id,
        _segment.employee_id == _change.employee_id,
        _segment.pay_group == sa.bindparam("pay_group"),
    )
)
_in_slice = sa.exists(
    sa.select(sa.literal(1)).where(
        _segment.tenant_id == _change.tenant_id,
        _segment.employee_id == _change.employee_id,
        _segment.pay_group == sa.bindparam("pay_group"),
        _segment.valid_from < _end,
        _segment.valid_to > _start,
    )
)
_latest = select(employee_change, _change.record_time).order_by(_change.record_time.desc()).limit(1)
_recent = (
    select(employee_change, _change.record_time)
    .where(_change.record_time > sa.bindparam("since", type_=_change.record_time.type), _in_pay_group)
    .order_by(_change.record_time.desc())
    .limit(1)
)
_THIS = (_change.employee_id, _change.kind, _change.record_time, _change.version)
_changed_after_instant = (
    select(employee_change, *_THIS)
    .where(
        _change.record_time > _known_at,
        _change.affects_pay.is_(True),
        _change.affected_from < _end,
        _change.employee_id > _after,
        _in_slice,
    )
    .order_by(_change.employee_id, _change.version)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)
_from_version = (
    sa.select(_outbox.c.aggregate_id, sa.func.min(_outbox.c.aggregate_version).label("first"))
    .where(
        _outbox.c.tenant_id == sa.bindparam("tenant_id", type_=_segment.tenant_id.type),
        _outbox.c.aggregate_type == "employee",
        sa.or_(_outbox.c.position > sa.bindparam("position"), _outbox.c.position.is_(None)),
    )
    .group_by(_outbox.c.aggregate_id)
    .subquery("from_version")
)
_changed_after_position = (
    select(employee_change, *_THIS)
    .join(
        _from_version,
        sa.and_(_from_version.c.aggregate_id == _change.employee_id, _change.version >= _from_version.c.first),
    )
    .where(
        _change.affects_pay.is_(True),
        _change.affected_from < _end,
        _change.employee_id > _after,
        _in_slice,
    )
    .order_by(_change.employee_id, _change.version)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)
_holders = {
    known: select(employee_segment, _segment.position, sa.func.count().label("filled"))
    .where(
        _segment.position.in_(sa.bindparam("positions", expanding=True)),
        _holds,
        condition,
        _segment.spell_start <= _as_of,
        _segment.spell_end > _as_of,
    )
    .group_by(_segment.position)
    for known, condition in ((False, _known_now), (True, _known_then))
}
_line = employee_segment.alias("line")  # a reporting line: of one of the managers, on the day, as known now
_on = sa.bindparam("reporting_on", type_=_segment.valid_from.type)
_managers = sa.bindparam("managers", expanding=True, type_=_segment.employee_id.type)
_reporting = sa.select(_line.c.employee_id).where(
    _line.c.tenant_id == _tenant,
    _line.c.manager_id.in_(_managers),
    _line.c.valid_from <= _on,
    _line.c.valid_to > _on,
    _line.c.recorded_to == STILL_KNOWN,
)
_managers_below = (
    select(employee_segment, _segment.manager_id)
    .where(
        _segment.manager_id.in_(_reporting),
        _segment.valid_from <= _on,
        _segment.valid_to > _on,
        _known_now,
    )
    .distinct()
    .limit(sa.bindparam("most", type_=sa.Integer()))
)
_NOBODY = EmployeeId(UUID(int=0))


@lru_cache(4096)
def _spell_of(start: date, end: date, reason: str | None) -> Spell | None:
    return None if start == BEGINNING else Spell(start, end, None if reason is None else EndReason(reason))


def _spell(row: RowMapping) -> Spell | None:
    return _spell_of(row["spell_start"], row["spell_end"], row["end_reason"])


def _reading(row: RowMapping) -> EmployeeReading:
    return EmployeeReading(
        row["employee_id"],
        row["employee_number"],
        row["version"],
        row["last_record_time"],
        _spell(row),
        row["person"],
        row["work"],
        partial(sealed_from_json, row["sealed"]),
    )


class SqlEmployeeReadings:
    """Employees of the connection's tenant, to be read."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def one(self, id: EmployeeId, as_of: date, known_at: datetime | None) -> EmployeeReading | None:
        values = {"employee_id": id, "as_of": as_of, "known_at": known_at}
        row = await self._tx.row(_one[known_at is not None], values)
        return None if row is None else _reading(row)

    async def many(
        self, ids: Sequence[EmployeeId], as_of: date, known_at: datetime | None
    ) -> Mapping[EmployeeId, EmployeeReading]:
        found: dict[EmployeeId, EmployeeReading] = {}
        for start in range(0, len(ids), IN_LIST):
            values = {"ids": list(ids[start : start + IN_LIST]), "as_of": as_of, "known_at": known_at}
            for row in await self._tx.rows(_many[known_at is not None], values):
                found[row["employee_id"]] = _reading(row)
        return found

    async def page(self, criteria: Criteria, after: tuple[str, EmployeeId] | None, limit: int) -> Sequence[Listed]:
        key = {
            Sort.EMPLOYEE_NUMBER: _head.employee_number,
            Sort.NAME: _segment.legal_name,
            Sort.HIRE_DATE: _segment.spell_start,
        }[criteria.sort]
        by_number = criteria.sort is Sort.EMPLOYEE_NUMBER
        tables = _heads_first if by_number and not await self._few(criteria) else _segments_first
        statement = tables.add_columns(key.label("sort_key")).where(*_conditions(criteria))
        if after is not None and by_number:
            statement = statement.where(key > after[0])
        elif after is not None:
            value: Any = date.fromisoformat(after[0]) if criteria.sort is Sort.HIRE_DATE else after[0]
            statement = statement.where(key >= value, sa.or_(key > value, _segment.employee_id > after[1]))
        statement = statement.order_by(key) if by_number else statement.order_by(key, _segment.employee_id)
        statement = statement.limit(limit)
        values = {"as_of": criteria.as_of, "known_at": criteria.known_at, **_values_of(criteria.reporting)}
        rows = await self._tx.rows(statement, values)
        return [Listed(_reading(row), str(row["sort_key"])) for row in rows]

    async def _few(self, criteria: Criteria) -> bool:
        """Whether an index finds few rows, so that sorting them is cheaper than a walk in order."""
        managed = criteria.manager_id is not None or criteria.reporting is not None
        if managed or criteria.national_id_index or criteria.employee_number:
            return True
        for column, values in (
            (_segment.department, criteria.departments),
            (_segment.pay_group, (criteria.pay_group,) if criteria.pay_group else ()),
        ):
            if values:
                some = select(employee_segment, _segment.employee_id).where(column.in_(values)).limit(FEW)
                if len(await self._tx.rows(some)) < FEW:
                    return True
        return False

    async def managers_below(self, reporting: Reporting, limit: int) -> Sequence[EmployeeId]:
        rows = await self._tx.rows(_managers_below, {**_values_of(reporting), "most": limit})
        return [row["manager_id"] for row in rows]

    async def holders(self, positions: Sequence[str], day: date, known_at: datetime | None) -> Mapping[str, int]:
        values = {"positions": list(positions), "as_of": day, "known_at": known_at}
        rows = await self._tx.rows(_holders[known_at is not None], values)
        return {row["position"]: row["filled"] for row in rows}

    async def history(self, id: EmployeeId, known_at: datetime | None) -> Sequence[Change]:
        values = {"employee_id": id, "known_at": known_at}
        return [change_from_row(row) for row in await self._tx.rows(_history[known_at is not None], values)]

    async def pay_slice(self, question: PayQuestion, after: EmployeeId | None, limit: int) -> SlicePage:
        # One row more tells that there is more; whoever the rows end inside is left to the next page. That somebody is
        # whole in every page needs more rows than one person can have.
        most = max(limit, MOST_SEGMENTS_IN_A_PERIOD) + 1
        statement = _slice[question.known_at is not None]
        if question.employee_ids:
            statement = statement.where(_segment.employee_id.in_(question.employee_ids))
        values = {
            "pay_group": question.pay_group,
            "after": after or _NOBODY,
            "period_start": question.period.start,
            "period_end": question.period.end,
            "known_at": question.known_at,
            "most": most,
        }
        rows = await self._tx.rows(statement, values)
        cut = len(rows) == most
        segments: list[SegmentReading] = []
        people = 0
        last: EmployeeId | None = None
        for row in rows:
            id = row["employee_id"]
            if last is None or id.int != last.int:
                if people == limit:
                    return SlicePage(segments, last)
                people, last = people + 1, id
            _append(segments, row, question.period)
        if cut:  # the last one may go on in rows that were not read
            whole = [segment for segment in segments if segment.employee_id != last]
            return SlicePage(whole, whole[-1].employee_id)
        return SlicePage(segments, None)

    async def employed(self, ids: Sequence[EmployeeId], since: date) -> Sequence[SegmentReading]:
        segments: list[SegmentReading] = []
        for start in range(0, len(ids), IN_LIST):
            values = {"ids": list(ids[start : start + IN_LIST]), "period_start": since}
            for row in await self._tx.rows(_roster, values):
                _append(segments, row, _ALWAYS)
        return segments

    async def versions(self, ids: Sequence[EmployeeId]) -> Mapping[EmployeeId, tuple[str, int]]:
        found: dict[EmployeeId, tuple[str, int]] = {}
        for start in range(0, len(ids), IN_LIST):
            for row in await self._tx.rows(_versions, {"ids": list(ids[start : start + IN_LIST])}):
                found[row["employee_id"]] = (row["employee_number"], row["version"])
        return found

    async def latest_record_time(self, pay_group: str, since: datetime) -> datetime | None:
        row = await self._tx.row(_recent, {"pay_group": pay_group, "since": since})
        if row is None:
            row = await self._tx.row(_latest)
            return None if row is None else min(row["record_time"], since)
        found: datetime = row["record_time"]
        return found

    async def feed_position(self) -> int:
        row = await self._tx.row(sa.select(sa.func.max(feed_head.c.position).label("position")))
        return 0 if row is None else row["position"] or 0

    async def changed_since(
        self, question: PayQuestion, position: int, after: EmployeeId | None, limit: int
    ) -> ChangedPage:
        most = limit + RECENT_CHANGES
        statement = _changed_after_position if question.known_at is None else _changed_after_instant
        values = {
            "pay_group": question.pay_group,
            "after": after or _NOBODY,
            "period_start": question.period.start,
            "period_end": question.period.end,
            "known_at": question.known_at,
            "position": position,
            "most": most,
        }
        rows = await self._tx.rows(statement, values)
        found: list[Changed] = []
        for row in rows:
            id, kind, time = row["employee_id"], ChangeKind(row["kind"]), row["record_time"]
            if found and found[-1].employee_id == id:
                before = found[-1]
                kinds = before.kinds if kind in before.kinds else (*before.kinds, kind)
                found[-1] = Changed(id, kinds, before.first_record_time, time)
            elif len(found) == limit:
                return ChangedPage(found, found[-1].employee_id)
            else:
                found.append(Changed(id, (kind,), time, time))
        # Where the rows ran out inside somebody's changes, what was read of them is enough to name them.
        return ChangedPage(found, found[-1].employee_id if len(rows) == most else None)


_ALWAYS = Period(BEGINNING, FOREVER)


def _append(segments: list[SegmentReading], row: RowMapping, within: Period) -> None:
    """Add the row's employed days; days that only go on with the same facts lengthen the segment before."""
    spell = _spell(row)
    assert spell is not None
    start = max(row["valid_from"], spell.start, within.start)
    end = min(row["valid_to"], spell.end, within.end)
    id, work = row["employee_id"], row["work"]
    if segments:
        before = segments[-1]
        if before.days.end == start and before.employee_id == id and before.work == work and before.spell == spell:
            start = before.days.start
            segments.pop()
    segments.append(SegmentReading(id, row["employee_number"], Period(start, end), spell, row["location"], work))


def _values_of(reporting: Reporting | None) -> dict[str, Any]:
    return {} if reporting is None else {"managers": sorted(reporting.managers), "reporting_on": reporting.day}


def _conditions(criteria: Criteria) -> list[sa.ColumnElement[bool]]:
    found = [_known_now if criteria.known_at is None else _known_then]
    if criteria.statuses:
        asked = {
            EmployeeStatus.PENDING: _segment.spell_start > _as_of,
            EmployeeStatus.ACTIVE: sa.and_(_segment.spell_start <= _as_of, _segment.spell_end > _as_of),
            EmployeeStatus.TERMINATED: _segment.spell_end <= _as_of,
        }
        found.append(sa.or_(*(asked[status] for status in criteria.statuses)))
    if criteria.departments:
        found.append(_segment.department.in_(criteria.departments))
    if criteria.legal_entities:
        found.append(_segment.legal_entity.in_(criteria.legal_entities))
    for column, value in (
        (_segment.pay_group, criteria.pay_group),
        (_segment.location, criteria.location),
        (_segment.manager_id, criteria.manager_id),
        (_head.employee_number, criteria.employee_number),
        (_segment.national_id_index, criteria.national_id_index),
    ):
        if value:
            found.append(column == value)
    if criteria.reporting is not None:
        found.append(_segment.employee_id.in_(_reporting))
    if criteria.q:
        found.append(_segment.search.contains(criteria.q.casefold(), autoescape=True))
    if criteria.updated_since is not None:
        found.append(_head.last_record_time >= criteria.updated_since)
    return found


class SqlOrgChartReadings:
    """The org chart of the connection's tenant, to be read."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def head(self, catalog_version: int = 0) -> tuple[int, datetime | None]:
        row = await self._tx.row(select(org_chart))
        version, time = (0, None) if row is None else (row["version"], row["publish_time"])
        if catalog_version in (0, version):
            return version, time
        if catalog_version > version:
            raise EntryNotFound(f"the org chart has versions up to {version}", field="catalog_version")
        published = sa.func.max(org_chart_change.c.record_time, type_=org_chart_change.c.record_time.type)
        dated = select(org_chart_change, published.label("time")).where(
            org_chart_change.c.catalog_version == catalog_version
        )
        found = await self._tx.row(dated)
        return catalog_version, None if found is None else found["time"]

    async def head_known_at(self, known_at: datetime) -> tuple[int, datetime | None]:
        table = org_chart_change
        latest = select(table, sa.func.max(table.c.catalog_version).label("version")).where(
            table.c.record_time <= known_at
        )
        found = await self._tx.row(latest)
        return (0, None) if found is None or found["version"] is None else await self.head(found["version"])

    async def content(
        self, catalog_version: int, kinds: Sequence[EntryKind] = (), references: Iterable[Reference] = ()
    ) -> Content:
        table = org_chart_change
        statement = select(table).where(table.c.catalog_version <= catalog_version)
        asked = list(references)
        if kinds:
            statement = statement.where(table.c.kind.in_([kind.value for kind in kinds]))
        if asked:
            statement = statement.where(of_references(asked))
        rows = await self._tx.rows(statement)
        return Content.of((entry_change_from_row(row) for row in rows), catalog_version)

    async def page(
        self, catalog_version: int, kind: EntryKind, after_code: str, limit: int
    ) -> tuple[Content, str | None]:
        table = org_chart_change
        codes = (
            select(table, table.c.code)
            .where(table.c.catalog_version <= catalog_version, table.c.kind == kind.value, table.c.code > after_code)
            .distinct()
            .order_by(table.c.code)
            .limit(limit)
        )
        found = [row["code"] for row in await self._tx.rows(codes)]
        if not found:
            return Content(catalog_version), None
        content = await self.content(catalog_version, references=[(kind, code) for code in found])
        return content, found[-1] if len(found) == limit else None
