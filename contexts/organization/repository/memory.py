"""Employees and the org chart in memory: what they answer follows from the recorded changes alone, by folding them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from chassis.in_memory import WorkInMemory
from chassis.outbox import PendingOutbox, Saved
from contexts.organization.domain.employee import Employee, EmployeeState
from contexts.organization.domain.errors import EmployeeNotFound, EmployeeNumberTaken, EntryNotFound
from contexts.organization.domain.history import Change, Projection, Segment, fold, known_at
from contexts.organization.domain.org_chart import (
    Content,
    EntryChange,
    EntryKind,
    OrgChart,
    OrgChartState,
    Reference,
)
from contexts.organization.domain.policies import ReportingLine, named
from contexts.organization.domain.values import BEGINNING, SEALED_FIELDS, EmployeeStatus
from contexts.organization.repository.port import (
    NUMBERS_TOLD,
    Changed,
    ChangedPage,
    Criteria,
    Documents,
    EmployeeReading,
    InUse,
    Listed,
    PayQuestion,
    Reporting,
    SegmentReading,
    SlicePage,
    Sort,
    Vault,
)
from kernel.errors import Stale
from kernel.ids import EmployeeId, TenantId, Version
from kernel.period import FOREVER, Period


@dataclass
class MemoryTenant:
    """Everything that is kept of one tenant."""

    tenant_id: TenantId
    employees: dict[EmployeeId, EmployeeState] = field(default_factory=dict)
    chart: OrgChartState | None = None
    feed: list[Saved] = field(default_factory=list)

    def org_chart(self) -> OrgChartState:
        """The chart, empty before the first publishing."""
        return self.chart or OrgChartState(self.tenant_id)


class MemoryEmployees:
    """The employees of one tenant during one command; `publish` makes what was saved visible to others.

    Invariants: the second of two writers of one version is refused, when it saves or in `check`.
    """

    def __init__(self, tenant: MemoryTenant, outbox: PendingOutbox) -> None:
        self._tenant = tenant
        self._outbox = outbox
        self._stored: dict[EmployeeId, Version] = {}
        self._staged: dict[EmployeeId, EmployeeState] = {}

    def check(self) -> None:
        """Raises Stale, EmployeeNumberTaken where somebody else was first."""
        numbers = {state.number: id for id, state in self._tenant.employees.items()}
        for id, state in self._staged.items():
            self._refuse_stale(id)
            if numbers.get(state.number, id) != id:
                raise EmployeeNumberTaken("another employee has this number: take a free one", field="employee_number")

    def publish(self) -> None:
        """Make the staged states visible."""
        self._tenant.employees.update(self._staged)

    def _refuse_stale(self, id: EmployeeId) -> None:
        found = self._tenant.employees.get(id)
        if (Version(0) if found is None else found.version) != self._stored.get(id, Version(0)):
            raise Stale("somebody else changed this employee first: read it again", employee_id=id)

    async def get(self, id: EmployeeId, seen: Version | None = None) -> Employee:
        state = self._tenant.employees.get(id)
        if state is None:
            raise EmployeeNotFound("there is no such employee", employee_id=id)
        if seen is not None and state.version != seen:
            raise Stale("somebody else changed this employee first: read it again", field="etag", employee_id=id)
        self._stored[id] = state.version
        return Employee(state)

    async def get_many(self, ids: Sequence[EmployeeId]) -> Mapping[EmployeeId, Employee]:
        return {id: await self.get(id) for id in sorted(ids) if id in self._tenant.employees}

    async def add(self, employee: Employee) -> None:
        if await self.numbers_taken([employee.state.number]):
            raise EmployeeNumberTaken("another employee has this number: take a free one", field="employee_number")
        self._stage(employee)

    async def add_many(self, employees: Sequence[Employee]) -> None:
        for employee in employees:
            await self.add(employee)

    async def save(self, employee: Employee) -> None:
        self._refuse_stale(employee.state.id)
        self._stage(employee)

    async def save_many(self, employees: Sequence[Employee]) -> None:
        for employee in employees:
            await self.save(employee)

    def _stage(self, employee: Employee) -> None:
        state = employee.state
        self._staged[state.id] = state
        self._outbox.add("employee", state.id, state.version, employee.pull_events())

    async def numbers_taken(self, numbers: Sequence[str]) -> frozenset[str]:
        everyone = (*self._tenant.employees.values(), *self._staged.values())
        return frozenset(state.number for state in everyone) & frozenset(numbers)

    async def known(self, ids: Iterable[EmployeeId]) -> frozenset[EmployeeId]:
        return frozenset(ids) & self._tenant.employees.keys()

    async def lock_reporting_lines(self) -> None:
        """Nothing to hold: commands in memory do not overlap."""

    async def reporting_lines(self, ids: Sequence[EmployeeId]) -> Sequence[ReportingLine]:
        return [
            ReportingLine(id, manager_id, days)
            for id in ids
            if id in self._tenant.employees
            for manager_id, days in named(self._tenant.employees[id].projection, "manager_id")
            if manager_id is not None
        ]

    async def who_names(self, kind: EntryKind, code: str, days: Period) -> InUse:
        if kind is EntryKind.WITHHOLDING_REGISTRATION:
            return InUse()
        numbers = sorted(
            state.number
            for state in self._tenant.employees.values()
            if any(
                value == code and period.overlaps(days) for value, period in named(state.projection, kind.name.lower())
            )
        )
        return InUse(len(numbers), tuple(numbers[:NUMBERS_TOLD]))


class MemoryOrgCharts:
    """The org chart of one tenant during one command; `publish` makes what was saved visible to others."""

    def __init__(self, tenant: MemoryTenant, outbox: PendingOutbox) -> None:
        self._tenant = tenant
        self._outbox = outbox
        self._staged: OrgChartState | None = None
        self._stored = Version(0)

    def check(self) -> None:
        """Raises Stale where somebody else was first."""
        if self._staged is not None:
            self._refuse_stale()

    def publish(self) -> None:
        """Make the staged chart visible."""
        if self._staged is not None:
            self._tenant.chart = self._staged

    def _refuse_stale(self) -> None:
        if self._tenant.org_chart().version != self._stored:
            raise Stale("somebody else published first: read the chart again")

    async def get_to_publish(self, changes: Sequence[EntryChange]) -> OrgChart:
        chart = self._tenant.org_chart()
        self._stored = chart.version
        return OrgChart(chart)

    async def save(self, chart: OrgChart) -> None:
        self._refuse_stale()
        self._staged = chart.state
        self._outbox.add("org_chart", chart.state.tenant_id, chart.state.version, chart.pull_events())

    async def looked_up(self, references: Iterable[Reference]) -> Content:
        return self._tenant.org_chart().content()


class MemoryEmployeeReadings:
    """Employees of one tenant, to be read."""

    def __init__(self, tenant: MemoryTenant, documents: Documents) -> None:
        self._tenant = tenant
        self._documents = documents

    def _projection(self, state: EmployeeState, instant: datetime | None) -> Projection:
        return state.projection if instant is None else fold(known_at(state.changes, instant))

    def _found(self, state: EmployeeState, segment: Segment) -> EmployeeReading:
        person, work = self._documents.encode(segment)
        sealed = {name: value for name in SEALED_FIELDS if (value := getattr(segment.person, name)) is not None}
        time = state.last_record_time
        assert time is not None
        return EmployeeReading(state.id, state.number, state.version, time, segment.spell, person, work, lambda: sealed)

    async def one(self, id: EmployeeId, as_of: date, known_at: datetime | None) -> EmployeeReading | None:
        return (await self.many([id], as_of, known_at)).get(id)

    async def many(
        self, ids: Sequence[EmployeeId], as_of: date, known_at: datetime | None
    ) -> Mapping[EmployeeId, EmployeeReading]:
        found: dict[EmployeeId, EmployeeReading] = {}
        for id in ids:
            state = self._tenant.employees.get(id)
            segment = None if state is None else self._projection(state, known_at).at(as_of)
            if state is not None and segment is not None:
                found[id] = self._found(state, segment)
        return found

    async def page(self, criteria: Criteria, after: tuple[str, EmployeeId] | None, limit: int) -> Sequence[Listed]:
        listed: list[Listed] = []
        for state in self._tenant.employees.values():
            segment = self._projection(state, criteria.known_at).at(criteria.as_of)
            if segment is not None and _matches(state, segment, criteria) and self._reports(state, criteria.reporting):
                first = BEGINNING if segment.spell is None else segment.spell.start
                keys = {
                    Sort.EMPLOYEE_NUMBER: state.number,
                    Sort.NAME: segment.person.legal_name,
                    Sort.HIRE_DATE: first.isoformat(),
                }
                listed.append(Listed(self._found(state, segment), keys[criteria.sort]))
        listed.sort(key=lambda each: (each.key, each.reading.employee_id))
        left = [each for each in listed if after is None or (each.key, each.reading.employee_id) > after]
        return left[:limit]

    def _reports(self, state: EmployeeState, reporting: Reporting | None) -> bool:
        return reporting is None or _manager_of(state, reporting.day) in reporting.managers

    async def managers_below(self, reporting: Reporting, limit: int) -> Sequence[EmployeeId]:
        everyone = self._tenant.employees.values()
        managers = {_manager_of(state, reporting.day) for state in everyone}
        below = [state.id for state in everyone if self._reports(state, reporting) and state.id in managers]
        return below[:limit]

    async def holders(self, positions: Sequence[str], day: date, known_at: datetime | None) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for state in self._tenant.employees.values():
            segment = self._projection(state, known_at).at(day)
            if segment is not None and segment.work is not None and segment.status(day) is EmployeeStatus.ACTIVE:
                found[segment.work.assignment.position] += 1
        return {position: found[position] for position in positions if found[position]}

    async def history(self, id: EmployeeId, known_at: datetime | None) -> Sequence[Change]:
        state = self._tenant.employees.get(id)
        changes = () if state is None else state.changes
        return [change for change in changes if known_at is None or change.record_time <= known_at]

    def _stretches(
        self, state: EmployeeState, instant: datetime | None, within: Period
    ) -> list[tuple[str, SegmentReading]]:
        found: list[tuple[str, SegmentReading]] = []
        for segment in self._projection(state, instant).segments:
            if segment.spell is None or segment.work is None:
                continue
            start = max(segment.start, segment.spell.start, within.start)
            end = min(segment.end, segment.spell.end, within.end)
            if start >= end:
                continue
            assignment = segment.work.assignment
            work = self._documents.encode(segment)[1] or b""
            if found:
                before = found[-1][1]
                if before.days.end == start and before.work == work and before.spell == segment.spell:
                    start = before.days.start
                    found.pop()
            stretch = SegmentReading(
                state.id, state.number, Period(start, end), segment.spell, assignment.location, work
            )
            found.append((assignment.pay_group, stretch))
        return found

    async def pay_slice(self, question: PayQuestion, after: EmployeeId | None, limit: int) -> SlicePage:
        segments: list[SegmentReading] = []
        last: EmployeeId | None = None
        people = 0
        for id in sorted(self._tenant.employees):
            if (after is not None and id <= after) or (question.employee_ids and id not in question.employee_ids):
                continue
            stretches = self._stretches(self._tenant.employees[id], question.known_at, question.period)
            paid = [stretch for pay_group, stretch in stretches if pay_group == question.pay_group]
            if not paid:
                continue
            if people == limit:
                return SlicePage(segments, last)
            segments.extend(paid)
            people, last = people + 1, id
        return SlicePage(segments, None)

    async def employed(self, ids: Sequence[EmployeeId], since: date) -> Sequence[SegmentReading]:
        return [
            stretch
            for id in sorted(ids)
            if id in self._tenant.employees
            for _, stretch in self._stretches(self._tenant.employees[id], None, Period(BEGINNING, FOREVER))
            if stretch.days.end > since
        ]

    async def versions(self, ids: Sequence[EmployeeId]) -> Mapping[EmployeeId, tuple[str, int]]:
        everyone = self._tenant.employees
        return {id: (everyone[id].number, everyone[id].version) for id in ids if id in everyone}

    async def latest_record_time(self, pay_group: str, since: datetime) -> datetime | None:
        times = [
            state.changes[-1].record_time
            for state in self._tenant.employees.values()
            if any(value == pay_group for value, _ in named(state.projection, "pay_group"))
        ]
        return max(times, default=None)

    async def feed_position(self) -> int:
        return len(self._tenant.feed)

    async def changed_since(
        self, question: PayQuestion, position: int, after: EmployeeId | None, limit: int
    ) -> ChangedPage:
        fresh: dict[EmployeeId, int] = {}
        for saved in self._tenant.feed[position:]:
            fresh.setdefault(EmployeeId(saved.aggregate_id), saved.aggregate_version)
        found: list[Changed] = []
        for id in sorted(self._tenant.employees):
            state = self._tenant.employees[id]
            changes = [
                change
                for change in state.changes
                if change.affects_pay
                and change.affected_from < question.period.end
                and (
                    (id in fresh and change.version >= fresh[id])
                    if question.known_at is None
                    else change.record_time > question.known_at
                )
            ]
            if not changes or (after is not None and id <= after) or not self._ever_in(state, question):
                continue
            if len(found) == limit:
                return ChangedPage(found, found[-1].employee_id)
            kinds = tuple(dict.fromkeys(change.kind for change in changes))
            found.append(Changed(id, kinds, changes[0].record_time, changes[-1].record_time))
        return ChangedPage(found, None)

    def _ever_in(self, state: EmployeeState, question: PayQuestion) -> bool:
        return any(
            segment.work is not None
            and segment.work.assignment.pay_group == question.pay_group
            and segment.start < question.period.end
            and segment.end > question.period.start
            for change in state.changes
            for segment in fold(state.changes[: change.version]).segments
        )


def _manager_of(state: EmployeeState, day: date) -> EmployeeId | None:
    segment = state.projection.at(day)
    return None if segment is None or segment.work is None else segment.work.assignment.manager_id


def _matches(state: EmployeeState, segment: Segment, criteria: Criteria) -> bool:
    assignment = None if segment.work is None else segment.work.assignment
    searched = f"{state.number}\n{segment.person.legal_name}\n{segment.person.preferred_name}".casefold()
    national_id = segment.person.national_id
    time = state.last_record_time
    return (
        (not criteria.statuses or segment.status(criteria.as_of) in criteria.statuses)
        and (not criteria.departments or (assignment is not None and assignment.department in criteria.departments))
        and (
            not criteria.legal_entities
            or (assignment is not None and assignment.legal_entity in criteria.legal_entities)
        )
        and (not criteria.pay_group or (assignment is not None and assignment.pay_group == criteria.pay_group))
        and (not criteria.location or (assignment is not None and assignment.location == criteria.location))
        and (criteria.manager_id is None or (assignment is not None and assignment.manager_id == criteria.manager_id))
        and (not criteria.q or criteria.q.casefold() in searched)
        and (not criteria.employee_number or criteria.employee_number == state.number)
        and (
            not criteria.national_id_index
            or (national_id is not None and national_id.index == criteria.national_id_index)
        )
        and (criteria.updated_since is None or (time is not None and time >= criteria.updated_since))
    )


class MemoryOrgChartReadings:
    """The org chart of one tenant, to be read."""

    def __init__(self, tenant: MemoryTenant) -> None:
        self._tenant = tenant

    async def head(self, catalog_version: int = 0) -> tuple[int, datetime | None]:
        chart = self._tenant.org_chart()
        if catalog_version in (0, chart.version):
            return chart.version, chart.publish_time
        if catalog_version > chart.version:
            raise EntryNotFound(f"the org chart has versions up to {chart.version}", field="catalog_version")
        times = [change.record_time for change in chart.changes if change.catalog_version == catalog_version]
        return catalog_version, times[0]

    async def head_known_at(self, known_at: datetime) -> tuple[int, datetime | None]:
        changes = self._tenant.org_chart().changes
        known = [each.catalog_version for each in changes if each.record_time and each.record_time <= known_at]
        return await self.head(max(known)) if known else (0, None)

    async def content(
        self, catalog_version: int, kinds: Sequence[EntryKind] = (), references: Iterable[Reference] = ()
    ) -> Content:
        asked = set(references)
        return Content.of(
            (
                change
                for change in self._tenant.org_chart().changes
                if (not kinds or change.kind in kinds) and (not asked or (change.kind, change.code) in asked)
            ),
            catalog_version,
        )

    async def page(
        self, catalog_version: int, kind: EntryKind, after_code: str, limit: int
    ) -> tuple[Content, str | None]:
        content = await self.content(catalog_version, kinds=[kind])
        codes = sorted(code for _, code in content.timelines if code > after_code)[:limit]
        if not codes:
            return Content(catalog_version), None
        page = await self.content(catalog_version, references=[(kind, code) for code in codes])
        return page, codes[-1] if len(codes) == limit else None


class MemoryUnit(WorkInMemory):
    """One command's work in memory; `commit` makes it visible, without it nothing happened."""

    def __init__(
        self, tenant: MemoryTenant, vault: Vault, now: Callable[[], datetime], new_id: Callable[[], UUID]
    ) -> None:
        super().__init__(tenant.tenant_id, now, new_id)
        self.employees = MemoryEmployees(tenant, self.outbox)
        self.org_charts = MemoryOrgCharts(tenant, self.outbox)
        self.vault = vault
        self._tenant = tenant

    def commit(self) -> None:
        """Make everything visible at once. Raises Stale, EmployeeNumberTaken, and then nothing is."""
        self.employees.check()
        self.org_charts.check()
        self.employees.publish()
        self.org_charts.publish()
        self._tenant.feed.extend(self.outbox.saved)


class MemoryView:
    """What a query reads from in memory; every fact is settled at once."""

    settle_margin_s = 0.0

    def __init__(self, tenant: MemoryTenant, documents: Documents, vault: Vault, now: Callable[[], datetime]) -> None:
        self.employees = MemoryEmployeeReadings(tenant, documents)
        self.org_charts = MemoryOrgChartReadings(tenant)
        self.vault = vault
        self._now = now

    async def database_time(self) -> datetime:
        """The clock."""
        return self._now()
