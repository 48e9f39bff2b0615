"""Employees and the org chart in SQL, for commands."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from chassis.database import Contention, Duplicate, Lock, Tx, select, update
from chassis.outbox import Outbox
from contexts.organization.domain.employee import Employee, restored
from contexts.organization.domain.errors import EmployeeNotFound, EmployeeNumberTaken
from contexts.organization.domain.history import Change, ChangeKind, Segment, fold
from contexts.organization.domain.org_chart import (
    Content,
    EntryChange,
    EntryKind,
    OrgChart,
    OrgChartState,
    Reference,
    kinds_to_see,
)
from contexts.organization.domain.policies import ReportingLine
from contexts.organization.domain.values import BEGINNING
from contexts.organization.repository.documents import (
    entry_from_json,
    entry_to_json,
    fields_from_json,
    fields_to_json,
    ids_from_json,
    ids_to_json,
    sealed_to_json,
)
from contexts.organization.repository.port import NUMBERS_TOLD, Documents, InUse
from contexts.organization.repository.tables import (
    STILL_KNOWN,
    employee,
    employee_change,
    employee_segment,
    org_chart,
    org_chart_change,
)
from kernel.errors import Stale
from kernel.ids import EmployeeId, Version
from kernel.period import Period

IN_LIST = 500  # ids in one statement

_id = sa.bindparam("employee_id", type_=employee.c.employee_id.type)
_ids = sa.bindparam("ids", expanding=True, type_=employee.c.employee_id.type)
_head = select(employee).where(employee.c.employee_id == _id)
_heads = select(employee).where(employee.c.employee_id.in_(_ids)).order_by(employee.c.employee_id)
_changes = select(employee_change).where(employee_change.c.employee_id == _id).order_by(employee_change.c.version)
_changes_of_many = (
    select(employee_change)
    .where(employee_change.c.employee_id.in_(_ids))
    .order_by(employee_change.c.employee_id, employee_change.c.version)
)
_numbers = select(employee, employee.c.employee_number).where(
    employee.c.employee_number.in_(sa.bindparam("numbers", expanding=True))
)
_known = select(employee, employee.c.employee_id).where(employee.c.employee_id.in_(_ids))
_lines = select(
    employee_segment,
    employee_segment.c.employee_id,
    employee_segment.c.manager_id,
    employee_segment.c.valid_from,
    employee_segment.c.valid_to,
    employee_segment.c.spell_start,
    employee_segment.c.spell_end,
).where(
    employee_segment.c.employee_id.in_(_ids),
    employee_segment.c.manager_id.is_not(None),
    employee_segment.c.recorded_to == STILL_KNOWN,
)
_replaced = (
    update(employee_segment)
    .where(
        employee_segment.c.employee_id == sa.bindparam("of_employee", type_=employee_segment.c.employee_id.type),
        employee_segment.c.valid_from == sa.bindparam("from_day", type_=employee_segment.c.valid_from.type),
        employee_segment.c.recorded_to == STILL_KNOWN,
    )
    .values(recorded_to=sa.bindparam("until", type_=employee_segment.c.recorded_to.type))
)
_moved_on = (
    update(employee)
    .where(
        employee.c.employee_id == sa.bindparam("of_employee", type_=employee.c.employee_id.type),
        employee.c.version == sa.bindparam("seen"),
    )
    .values(
        version=sa.bindparam("to_version"),
        last_record_time=sa.bindparam("at", type_=employee.c.last_record_time.type),
    )
)


def change_from_row(row: RowMapping) -> Change:
    """A recorded change."""
    return Change(
        row["change_id"],
        row["version"],
        ChangeKind(row["kind"]),
        row["effective_date"],
        row["record_time"],
        fields_from_json(row["fields"]),
        row["supersedes"],
        ids_from_json(row["cancels"]),
        row["reason"],
        row["affected_from"],
    )


def _change_row(id: EmployeeId, change: Change) -> dict[str, Any]:
    return {
        "employee_id": id,
        "version": change.version,
        "change_id": change.change_id,
        "kind": change.kind.value,
        "effective_date": change.effective_date,
        "record_time": change.record_time,
        "fields": fields_to_json(change.fields),
        "supersedes": change.supersedes,
        "cancels": ids_to_json(change.cancels),
        "reason": change.reason,
        "affected_from": change.affected_from,
        "affects_pay": change.affects_pay,
    }


class SqlEmployees:
    """The employees of the transaction's tenant.

    Invariants: `save` writes the projection's difference with the changes that made it; what it saves was got or added
    here before.
    """

    def __init__(self, tx: Tx, outbox: Outbox, documents: Documents) -> None:
        self._tx = tx
        self._outbox = outbox
        self._documents = documents
        self._stored: dict[EmployeeId, Version] = {}

    async def get(self, id: EmployeeId, seen: Version | None = None) -> Employee:
        head = await self._tx.row(_head, {"employee_id": id}, lock=Lock.UPDATE)
        if head is None:
            raise EmployeeNotFound("there is no such employee", employee_id=id)
        if seen is not None and head["version"] != seen:
            raise Stale("somebody else changed this employee first: read it again", field="etag", employee_id=id)
        rows = await self._tx.rows(_changes, {"employee_id": id})
        return self._restored(head, [change_from_row(row) for row in rows])

    async def get_many(self, ids: Sequence[EmployeeId]) -> Mapping[EmployeeId, Employee]:
        found: dict[EmployeeId, Employee] = {}
        for start in range(0, len(ids), IN_LIST):
            some = {"ids": list(ids[start : start + IN_LIST])}
            heads = await self._tx.rows(_heads, some, lock=Lock.UPDATE)
            changes: dict[EmployeeId, list[Change]] = {}
            for row in await self._tx.rows(_changes_of_many, some):
                changes.setdefault(row["employee_id"], []).append(change_from_row(row))
            for head in heads:
                found[head["employee_id"]] = self._restored(head, changes[head["employee_id"]])
        return found

    def _restored(self, head: RowMapping, changes: Sequence[Change]) -> Employee:
        self._stored[head["employee_id"]] = head["version"]
        return restored(head["employee_id"], head["employee_number"], tuple(changes))

    async def add(self, employee: Employee) -> None:
        try:
            await self._insert([employee])
        except Duplicate as error:
            if not error.touches("employee_number"):
                raise
            raise EmployeeNumberTaken(
                "another employee has this number: take a free one",
                field="employee_number",
                employee_number=employee.state.number,
            ) from error

    async def add_many(self, employees: Sequence[Employee]) -> None:
        try:
            await self._insert(employees)
        except Duplicate as error:
            raise Contention("one of the numbers was taken meanwhile") from error

    async def _insert(self, employees: Sequence[Employee]) -> None:
        if not employees:
            return
        heads = [
            {
                "employee_id": each.state.id,
                "employee_number": each.state.number,
                "version": each.state.version,
                "last_record_time": each.state.last_record_time,
            }
            for each in employees
        ]
        await self._tx.insert(employee, heads if len(heads) > 1 else heads[0])
        await self._write(employees)

    async def save(self, employee: Employee) -> None:
        await self.save_many([employee])

    async def save_many(self, employees: Sequence[Employee]) -> None:
        for each in employees:
            state = each.state
            moved = {
                "of_employee": state.id,
                "seen": self._stored[state.id],
                "to_version": state.version,
                "at": state.last_record_time,
            }
            if await self._tx.execute(_moved_on, moved) != 1:
                raise Stale("somebody else changed this employee first: read it again", employee_id=state.id)
        await self._write(employees)

    async def _write(self, employees: Sequence[Employee]) -> None:
        """Changes and segments that are not stored yet, by executemany; the events go to the outbox."""
        changes: list[dict[str, Any]] = []
        replaced: list[dict[str, Any]] = []
        opened: list[dict[str, Any]] = []
        for each in employees:
            state = each.state
            stored = self._stored.get(state.id, Version(0))
            fresh = [change for change in state.changes if change.version > stored]
            before = fold(state.changes[: len(state.changes) - len(fresh)]).segments if stored else ()
            for change in fresh:
                last = change is fresh[-1]
                after = (state.projection if last else fold(state.changes[: change.version])).segments
                changes.append(_change_row(state.id, change))
                self._difference(each, before, after, change.record_time, replaced, opened)
                before = after
            self._stored[state.id] = state.version
            self._outbox.add("employee", state.id, state.version, each.pull_events())
        await self._tx.insert(employee_change, changes if len(changes) > 1 else changes[0])
        await self._tx.execute_many(_replaced, replaced)
        if opened:
            await self._tx.insert(employee_segment, opened if len(opened) > 1 else opened[0])

    def _difference(
        self,
        owner: Employee,
        before: Sequence[Segment],
        after: Sequence[Segment],
        time: datetime,
        replaced: list[dict[str, Any]],
        opened: list[dict[str, Any]],
    ) -> None:
        id = owner.state.id
        for segment in before:
            if segment in after:
                continue
            born_now = [row for row in opened if row["employee_id"] == id and row["valid_from"] == segment.start]
            if born_now and born_now[-1]["recorded_to"] == STILL_KNOWN:
                born_now[-1]["recorded_to"] = time
            else:
                replaced.append({"of_employee": id, "from_day": segment.start, "until": time})
        opened.extend(self._segment_row(owner, segment, time) for segment in after if segment not in before)

    def _segment_row(self, owner: Employee, segment: Segment, time: datetime) -> dict[str, Any]:
        person, work = self._documents.encode(segment)
        who, spell = segment.person, segment.spell
        assignment = None if segment.work is None else segment.work.assignment
        number = owner.state.number
        return {
            "employee_id": owner.state.id,
            "valid_from": segment.start,
            "recorded_from": time,
            "valid_to": segment.end,
            "recorded_to": STILL_KNOWN,
            "employee_number": number,
            "legal_name": who.legal_name,
            "search": f"{number}\n{who.legal_name}\n{who.preferred_name}".casefold()[:450],
            "spell_start": BEGINNING if spell is None else spell.start,
            "spell_end": BEGINNING if spell is None else spell.end,
            "end_reason": None if spell is None or spell.end_reason is None else spell.end_reason.value,
            "legal_entity": "" if assignment is None else assignment.legal_entity,
            "department": "" if assignment is None else assignment.department,
            "position": "" if assignment is None else assignment.position,
            "location": "" if assignment is None else assignment.location,
            "pay_group": "" if assignment is None else assignment.pay_group,
            "manager_id": None if assignment is None else assignment.manager_id,
            "national_id_index": (who.national_id.index or None) if who.national_id is not None else None,
            "person": person,
            "work": work,
            "sealed": sealed_to_json(who),
        }

    async def numbers_taken(self, numbers: Sequence[str]) -> frozenset[str]:
        taken: set[str] = set()
        for start in range(0, len(numbers), IN_LIST):
            rows = await self._tx.rows(_numbers, {"numbers": list(numbers[start : start + IN_LIST])})
            taken.update(row["employee_number"] for row in rows)
        return frozenset(taken)

    async def known(self, ids: Iterable[EmployeeId]) -> frozenset[EmployeeId]:
        asked = sorted(set(ids))
        known: set[EmployeeId] = set()
        for start in range(0, len(asked), IN_LIST):
            rows = await self._tx.rows(_known, {"ids": asked[start : start + IN_LIST]})
            known.update(row["employee_id"] for row in rows)
        return frozenset(known)

    async def lock_reporting_lines(self) -> None:
        await self._tx.lock("reporting-lines")

    async def reporting_lines(self, ids: Sequence[EmployeeId]) -> Sequence[ReportingLine]:
        found: list[ReportingLine] = []
        for start in range(0, len(ids), IN_LIST):
            for row in await self._tx.rows(_lines, {"ids": list(ids[start : start + IN_LIST])}):
                first, end = max(row["valid_from"], row["spell_start"]), min(row["valid_to"], row["spell_end"])
                if first < end:
                    found.append(ReportingLine(row["employee_id"], row["manager_id"], Period(first, end)))
        return found

    async def who_names(self, kind: EntryKind, code: str, days: Period) -> InUse:
        if kind is EntryKind.WITHHOLDING_REGISTRATION:
            return InUse()
        table = employee_segment
        naming = (
            table.c[kind.name.lower()] == code,
            table.c.recorded_to == STILL_KNOWN,
            table.c.valid_from < days.end,
            table.c.valid_to > days.start,
            table.c.spell_start < days.end,
            table.c.spell_end > days.start,
            table.c.valid_from < table.c.spell_end,
            table.c.spell_start < table.c.valid_to,
        )
        if not await self._tx.rows(select(table, table.c.employee_id).where(*naming).limit(1)):
            return InUse()
        number = table.c.employee_number
        first = select(table, number).where(*naming).distinct().order_by(number).limit(NUMBERS_TOLD)
        numbers = tuple(row["employee_number"] for row in await self._tx.rows(first))
        row = await self._tx.row(select(table, sa.func.count(number.distinct()).label("people")).where(*naming))
        return InUse(len(numbers) if row is None else row["people"], numbers)


# -------------------------------------------------------------------------------------------- the org chart

_chart_head = select(org_chart)
_publish = (
    update(org_chart)
    .where(org_chart.c.version == sa.bindparam("seen"))
    .values(
        version=sa.bindparam("to_version"),
        publish_time=sa.bindparam("at", type_=org_chart.c.publish_time.type),
        change_count=sa.bindparam("count"),
    )
)


def entry_change_from_row(row: RowMapping) -> EntryChange:
    """A published change."""
    return EntryChange(
        EntryKind(row["kind"]),
        row["code"],
        row["effective_date"],
        entry_from_json(row["kind"], row["code"], row["entry"]),
        row["catalog_version"],
        row["record_time"],
    )


def of_references(references: Iterable[Reference]) -> sa.ColumnElement[bool]:
    """The rows of these entries: one equality for the kind and one list of codes each."""
    by_kind: dict[int, list[str]] = {}
    for kind, code in references:
        by_kind.setdefault(kind.value, []).append(code)
    table = org_chart_change
    return sa.or_(
        sa.false(), *(sa.and_(table.c.kind == kind, table.c.code.in_(sorted(codes))) for kind, codes in by_kind.items())
    )


class SqlOrgCharts:
    """The org chart of the transaction's tenant."""

    def __init__(self, tx: Tx, outbox: Outbox) -> None:
        self._tx = tx
        self._outbox = outbox
        self._stored = Version(0)

    async def get_to_publish(self, changes: Sequence[EntryChange]) -> OrgChart:
        head = await self._tx.row(_chart_head, lock=Lock.UPDATE)
        if head is None:
            try:
                await self._tx.insert(org_chart, {"version": 0, "publish_time": None, "change_count": 0})
            except Duplicate as error:
                raise Contention("the chart was begun meanwhile") from error
            head = await self._tx.row(_chart_head, lock=Lock.UPDATE)
            assert head is not None
        kinds = kinds_to_see(changes)
        table = org_chart_change
        wanted = sa.or_(
            table.c.kind.in_(sorted(kind.value for kind in kinds)),
            of_references((change.kind, change.code) for change in changes if change.kind not in kinds),
        )
        rows = await self._tx.rows(select(table).where(wanted).order_by(table.c.catalog_version))
        self._stored = head["version"]
        return OrgChart(
            OrgChartState(
                self._tx.tenant_id,
                head["version"],
                head["publish_time"],
                head["change_count"],
                tuple(entry_change_from_row(row) for row in rows),
            )
        )

    async def save(self, chart: OrgChart) -> None:
        state = chart.state
        moved = {
            "seen": self._stored,
            "to_version": state.version,
            "at": state.publish_time,
            "count": state.change_count,
        }
        if await self._tx.execute(_publish, moved) != 1:
            raise Stale("somebody else published first: read the chart again")
        fresh = [
            {
                "kind": change.kind.value,
                "code": change.code,
                "effective_date": change.effective_date,
                "catalog_version": change.catalog_version,
                "record_time": change.record_time,
                "entry": entry_to_json(change.entry),
            }
            for change in state.changes
            if change.catalog_version > self._stored
        ]
        await self._tx.insert(org_chart_change, fresh)
        self._stored = state.version
        self._outbox.add("org_chart", state.tenant_id, state.version, chart.pull_events())

    async def looked_up(self, references: Iterable[Reference]) -> Content:
        head = await self._tx.row(_chart_head, lock=Lock.SHARE)
        if head is None:
            return Content()
        rows = await self._tx.rows(select(org_chart_change).where(of_references(references)))
        return Content.of((entry_change_from_row(row) for row in rows), head["version"])
