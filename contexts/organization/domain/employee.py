"""The employee: one person's membership in the company, over rehires, as a record of dated changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from contexts.organization.domain.errors import (
    ChangeNoLongerStands,
    ChangeNotFound,
    ChangesLeftOutside,
    DateOutOfRange,
    FactOutOfRange,
    HistoryTooLong,
    ManagerCycle,
    NotEmployed,
    NothingChanges,
    SpellHasEnd,
)
from contexts.organization.domain.events import (
    BankAccountsChanged,
    CompensationChanged,
    EmployeeCorrected,
    EmployeeHired,
    EmployeeRehired,
    EmployeeTerminated,
    EmployeeTransferred,
    PersonUpdated,
    StatutoryProfileChanged,
)
from contexts.organization.domain.history import (
    EMPLOYED,
    END_REASON,
    PERSON,
    Change,
    ChangeKind,
    Projection,
    fold,
    hire_fields,
    lineage,
    standing,
)
from contexts.organization.domain.values import EARLIEST, LATEST, Compensation, EndReason, FieldValue, Spell, Work
from kernel.aggregate import AggregateRoot
from kernel.clock import strictly_after
from kernel.ids import EmployeeId, Version

MAX_CHANGES = 2000
ONE_DAY = timedelta(days=1)
IN_EMPLOYMENT = frozenset(
    {
        ChangeKind.TRANSFER,
        ChangeKind.PROMOTION,
        ChangeKind.MANAGER,
        ChangeKind.COMPENSATION,
        ChangeKind.STATUTORY_PROFILE,
    }
)
NEVER_RECORDED, NOTHING_FOLLOWS = Version(0), Projection()


@dataclass(frozen=True, slots=True)
class Recording:
    """What stands beside every recorded change: its id, the instant, and why.

    `time` is read inside the write transaction after the employee's lock.
    """

    change_id: UUID
    time: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EmployeeState:
    """Everything that was recorded of one employee, and what follows from it.

    Invariants: `projection` is the fold of `changes`; `version` is that of the latest change.
    """

    id: EmployeeId
    number: str
    version: Version = NEVER_RECORDED
    changes: tuple[Change, ...] = ()
    projection: Projection = NOTHING_FOLLOWS

    @property
    def last_record_time(self) -> datetime | None:
        """When the latest change was recorded."""
        return self.changes[-1].record_time if self.changes else None


class Employee(AggregateRoot[EmployeeState]):
    """One person's membership in the company.

    Invariants: spells never overlap; every work fact lies in a spell, and each spell has its facts from its first to
    its last day; first day <= last day; record times rise strictly; nobody is their own manager.
    """

    @classmethod
    def hire(
        cls,
        id: EmployeeId,
        number: str,
        person: Mapping[str, FieldValue],
        hire_date: date,
        work: Work,
        recording: Recording,
    ) -> "Employee":
        """Somebody who was never here. `person` has at least the legal name. Raises DateOutOfRange, ManagerCycle."""
        employee = cls(EmployeeState(id, number))
        fields = dict(person) | _first_day(work)
        event = EmployeeHired(id, number, recording.change_id, hire_date, work.assignment)
        employee._record(ChangeKind.HIRE, hire_date, fields, recording, event)
        return employee

    def rehire(self, hire_date: date, work: Work, recording: Recording) -> None:
        """Open a new spell; nothing of the earlier one goes on. Raises SpellsOverlap, DateOutOfRange, ManagerCycle."""
        assignment = work.assignment
        event = EmployeeRehired(
            self.state.id, recording.change_id, hire_date, assignment.assignment_id, assignment.pay_group
        )
        self._record(ChangeKind.REHIRE, hire_date, _first_day(work), recording, event)

    def transfer(
        self,
        effective_date: date,
        assignment: Mapping[str, FieldValue],
        compensation: Compensation | None,
        recording: Recording,
    ) -> None:
        """Change named facts of the assignment, and the compensation where given.

        Raises NotEmployed, NothingChanges, ManagerCycle.
        """
        self._reassign(ChangeKind.TRANSFER, effective_date, assignment, compensation, recording)

    def promote(
        self,
        effective_date: date,
        assignment: Mapping[str, FieldValue],
        compensation: Compensation | None,
        recording: Recording,
    ) -> None:
        """Raise position or grade, and the compensation where given, in one change.

        Raises NotEmployed, NothingChanges, ManagerCycle.
        """
        self._reassign(ChangeKind.PROMOTION, effective_date, assignment, compensation, recording)

    def change_manager(self, effective_date: date, manager_id: EmployeeId | None, recording: Recording) -> None:
        """Report to somebody else, or to nobody. Raises NotEmployed, NothingChanges, ManagerCycle."""
        self._reassign(ChangeKind.MANAGER, effective_date, {"manager_id": manager_id}, None, recording)

    def _reassign(
        self,
        kind: ChangeKind,
        effective_date: date,
        assignment: Mapping[str, FieldValue],
        compensation: Compensation | None,
        recording: Recording,
    ) -> None:
        fields = dict(assignment) if compensation is None else dict(assignment) | {"compensation": compensation}
        event = EmployeeTransferred(self.state.id, recording.change_id, effective_date, tuple(sorted(fields)))
        self._record(kind, effective_date, fields, recording, event)

    def change_compensation(self, effective_date: date, fields: Mapping[str, FieldValue], recording: Recording) -> None:
        """Change compensation or allowances. Raises NotEmployed, NothingChanges."""
        event = CompensationChanged(self.state.id, recording.change_id, effective_date)
        self._record(ChangeKind.COMPENSATION, effective_date, fields, recording, event)

    def change_statutory_profile(
        self, effective_date: date, country: str, fields: Mapping[str, FieldValue], recording: Recording
    ) -> None:
        """Change answers of one country. Raises NotEmployed, NothingChanges."""
        event = StatutoryProfileChanged(self.state.id, recording.change_id, effective_date, country)
        self._record(ChangeKind.STATUTORY_PROFILE, effective_date, fields, recording, event)

    def update_person(self, effective_date: date, fields: Mapping[str, FieldValue], recording: Recording) -> None:
        """Change what is known of the person, in employment or not. Raises NothingChanges, ChangesLeftOutside."""
        event = PersonUpdated(self.state.id, recording.change_id, effective_date)
        self._record(ChangeKind.PERSON, effective_date, fields, recording, event)

    def change_bank_accounts(self, effective_date: date, sealed: FieldValue, recording: Recording) -> None:
        """Replace the bank accounts. Raises ChangesLeftOutside."""
        event = BankAccountsChanged(self.state.id, recording.change_id, effective_date)
        self._record(ChangeKind.BANK_ACCOUNTS, effective_date, {"bank_accounts": sealed}, recording, event)

    def terminate(self, end_date: date, end_reason: EndReason, recording: Recording) -> None:
        """End the spell with its last day; work changes recorded for later days of it are cancelled.

        Raises NotEmployed, SpellHasEnd.
        """
        spell = self.state.projection.spell_on(end_date)
        if spell is None:
            raise NotEmployed(f"nobody is employed here on {end_date}: name a day inside a spell", field="end_date")
        if not spell.open:
            raise SpellHasEnd(
                f"the spell has the last day {spell.end - ONE_DAY}: correct that termination instead",
                field="end_date",
            )
        after = end_date + ONE_DAY
        event = EmployeeTerminated(self.state.id, recording.change_id, end_date)
        fields: dict[str, FieldValue] = {EMPLOYED: False, END_REASON: end_reason}
        cancels = self._work_changes(after, among=standing(self.state.changes))
        self._record(ChangeKind.TERMINATION, after, fields, recording, event, cancels=cancels)

    def correct(
        self, change_id: UUID, effective_date: date | None, fields: Mapping[str, FieldValue], recording: Recording
    ) -> None:
        """Put right what one standing change says: the named fields and the date where given; the rest of it stands.

        Raises ChangeNotFound, ChangeNoLongerStands, NothingChanges, FactOutOfRange, and what such a change raises.
        """
        wrong = self._standing(change_id)
        if any((name == END_REASON) != wrong.ends for name in fields):
            raise FactOutOfRange(
                "an end reason belongs to a termination, which says nothing else: name the change that is meant",
                field="correction",
            )
        day = effective_date or wrong.effective_date
        cancels = wrong.cancels
        if wrong.ends:
            replaced = lineage(self.state.changes, change_id)
            others = standing(change for change in self.state.changes if change.change_id not in replaced)
            cancels = self._work_changes(day, among=others)
        affected = min(wrong.affected_from, day)
        event = EmployeeCorrected(self.state.id, recording.change_id, change_id, affected, cancelled=False)
        self._record(
            ChangeKind.CORRECTION, day, dict(wrong.fields) | dict(fields), recording, event, change_id, cancels
        )

    def cancel(self, change_id: UUID, recording: Recording) -> None:
        """Make one change as if it had never been; with a first day, everything of its spell goes.

        A correction is taken back by itself: what it corrected stands again. What was corrected is taken back with its
        corrections. Of a rescinded first hire the person remains.

        Raises ChangeNotFound, ChangeNoLongerStands, ChangesLeftOutside.
        """
        found = self._with_corrections(change_id)
        wrong, named = found[0], found[-1]
        spell = self.state.projection.spell_on(wrong.effective_date)
        cancels = tuple(change.change_id for change in found)
        rescinded = wrong.starts and named.supersedes is None
        if rescinded and spell is not None:
            cancels += self._with_what_they_replaced(
                change
                for change in standing(self.state.changes)
                if change.about_work and not change.starts and _belongs(change, spell)
            )
        person = {name: value for name, value in wrong.fields.items() if name in PERSON} if rescinded else {}
        event = EmployeeCorrected(self.state.id, recording.change_id, change_id, wrong.affected_from, cancelled=True)
        self._record(
            ChangeKind.CANCELLATION,
            wrong.effective_date,
            person,
            recording,
            event,
            wrong.change_id if person else None,
            cancels,
        )

    def _with_corrections(self, change_id: UUID) -> tuple[Change, ...]:
        """The correction that stands in the change's place, back to the change; the change alone where it stands."""
        changes = {change.change_id: change for change in self.state.changes}
        if change_id not in changes:
            raise ChangeNotFound("this employee has no such change: take its id from the history", field="change_id")
        for change in standing(self.state.changes):
            replaced = lineage(self.state.changes, change.change_id)
            if change_id in replaced:
                found = tuple(changes[id] for id in replaced[: replaced.index(change_id) + 1])
                if all(each.kind is ChangeKind.CORRECTION for each in found[:-1]):
                    return found
        raise ChangeNoLongerStands("that change was cancelled before: there is nothing to take back", field="change_id")

    def _standing(self, change_id: UUID) -> Change:
        changes = self.state.changes
        if all(change.change_id != change_id for change in changes):
            raise ChangeNotFound("this employee has no such change: take its id from the history", field="change_id")
        for change in standing(changes):
            if change.change_id == change_id and change.fields:
                return change
        raise ChangeNoLongerStands(
            "that change was superseded or cancelled, or sets nothing itself: name the one that stands in its place",
            field="change_id",
        )

    def _work_changes(self, since: date, among: tuple[Change, ...]) -> tuple[UUID, ...]:
        """The work changes from `since` on up to the next first day."""
        until = min((c.effective_date for c in among if c.starts and c.effective_date >= since), default=LATEST)
        return self._with_what_they_replaced(
            change
            for change in among
            if since <= change.effective_date < until and change.about_work and not (change.starts or change.ends)
        )

    def _with_what_they_replaced(self, found: Iterable[Change]) -> tuple[UUID, ...]:
        # Else a cancelled correction would let what it corrected stand again.
        return tuple(id for change in found for id in lineage(self.state.changes, change.change_id))

    def _record(
        self,
        kind: ChangeKind,
        effective_date: date,
        fields: Mapping[str, FieldValue],
        recording: Recording,
        event: object,
        supersedes: UUID | None = None,
        cancels: tuple[UUID, ...] = (),
    ) -> None:
        state = self.state
        if not EARLIEST <= effective_date < LATEST:
            raise DateOutOfRange(f"name a date from {EARLIEST} to {LATEST}, not {effective_date}")
        if len(state.changes) >= MAX_CHANGES:
            raise HistoryTooLong(f"an employee has at most {MAX_CHANGES} recorded changes")
        if fields.get("manager_id") == state.id:
            raise ManagerCycle("nobody is their own manager: name somebody else", field="manager_id")
        if kind in IN_EMPLOYMENT and state.projection.spell_on(effective_date) is None:
            raise NotEmployed(
                f"nobody is employed here on {effective_date}: name a day inside a spell", field="effective_date"
            )
        touched = {supersedes, *cancels}
        change = Change(
            recording.change_id,
            state.version + 1,
            kind,
            effective_date,
            strictly_after(recording.time, state.last_record_time),
            fields,
            supersedes,
            cancels,
            recording.reason,
            min([effective_date, *(c.affected_from for c in state.changes if c.change_id in touched)]),
        )
        changes = (*state.changes, change)
        projection = fold(changes)
        if projection == state.projection:
            raise NothingChanges("nothing would change: name at least one fact that differs on that date")
        _refuse_left_outside(changes, projection)
        self._apply(event, version=Version(change.version), changes=changes, projection=projection)


def _belongs(change: Change, spell: Spell) -> bool:
    """Whether a work change is of this spell; the end of the one before may stand on its first day."""
    if change.ends:
        return spell.start < change.effective_date <= spell.end
    return change.effective_date in spell


def _refuse_left_outside(changes: tuple[Change, ...], projection: Projection) -> None:
    outside = [
        change
        for change in standing(changes)
        if change.about_work
        and not (change.starts or change.ends)
        and projection.spell_on(change.effective_date) is None
    ]
    if outside:
        days = ", ".join(str(change.effective_date) for change in outside[:5])
        raise ChangesLeftOutside(
            f"changes for {days} would lie outside every spell: cancel or correct them first",
            change_ids=",".join(str(change.change_id) for change in outside[:5]),
        )


def _first_day(work: Work) -> dict[str, FieldValue]:
    statutory = {country: dict(answers) for country, answers in work.statutory}
    return hire_fields(work.assignment, work.compensation, dict(work.allowances), statutory)


def restored(id: EmployeeId, number: str, changes: tuple[Change, ...]) -> Employee:
    """An employee as stored; `changes` in order of version."""
    version = Version(changes[-1].version) if changes else NEVER_RECORDED
    return Employee(EmployeeState(id, number, version, changes, fold(changes)))
