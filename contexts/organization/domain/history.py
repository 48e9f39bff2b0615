"""What was recorded of an employee, and what follows from it on every day."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from itertools import groupby
from typing import Any
from uuid import UUID

from contexts.organization.domain.errors import ChangesLeftOutside, DateOutOfRange, NotEmployed, SpellsOverlap
from contexts.organization.domain.values import (
    BEGINNING,
    Assignment,
    Compensation,
    EmployeeStatus,
    FieldValue,
    Person,
    Spell,
    Work,
)
from kernel.period import FOREVER

EMPLOYED, END_REASON = "employed", "end_reason"
ALLOWANCE, STATUTORY = "allowance.", "statutory."  # followed by a code, or by country and name: "statutory.CN.city"
PERSON = frozenset(Person.__dataclass_fields__)
ASSIGNMENT = frozenset(Assignment.__dataclass_fields__)
UNPAID = PERSON | {"manager_id"}  # what no pay depends on


class ChangeKind(Enum):
    """What a recorded change was."""

    HIRE = "HIRE"
    REHIRE = "REHIRE"
    TRANSFER = "TRANSFER"
    PROMOTION = "PROMOTION"
    MANAGER = "MANAGER"
    COMPENSATION = "COMPENSATION"
    STATUTORY_PROFILE = "STATUTORY_PROFILE"
    PERSON = "PERSON"
    BANK_ACCOUNTS = "BANK_ACCOUNTS"
    TERMINATION = "TERMINATION"
    CORRECTION = "CORRECTION"
    CANCELLATION = "CANCELLATION"


@dataclass(frozen=True, slots=True)
class Change:
    """Named facts that hold from a date on, recorded once and never edited.

    Invariants: a change supersedes or cancels only changes of a lower version; `affected_from` is the first day whose
    facts it may alter.
    """

    change_id: UUID
    version: int
    kind: ChangeKind
    effective_date: date
    record_time: datetime
    fields: Mapping[str, FieldValue]
    supersedes: UUID | None = None
    cancels: tuple[UUID, ...] = ()
    reason: str = ""
    affected_from: date = BEGINNING

    @property
    def starts(self) -> bool:
        """Whether it opens a spell."""
        return self.fields.get(EMPLOYED) is True

    @property
    def ends(self) -> bool:
        """Whether it closes a spell."""
        return self.fields.get(EMPLOYED) is False

    @property
    def about_work(self) -> bool:
        """Whether it says anything that only holds in employment."""
        return any(name not in PERSON for name in self.fields)

    @property
    def affects_pay(self) -> bool:
        """Whether pay may depend on it; what it took away counts as much as what it set."""
        return self.supersedes is not None or bool(self.cancels) or any(name not in UNPAID for name in self.fields)


@dataclass(frozen=True, slots=True)
class Segment:
    """Days on which nothing changes, from `start` up to, not including, `end`.

    The spell is the one under way or last ended, before the first one the coming one; the work facts likewise.
    Invariants: an employee's segments cover BEGINNING to FOREVER without gap or overlap; neighbours differ.
    """

    start: date
    end: date
    spell: Spell | None
    person: Person
    work: Work | None

    def status(self, day: date) -> EmployeeStatus:
        """Where the employee stands on `day`; who was hired and rescinded counts as gone."""
        return EmployeeStatus.TERMINATED if self.spell is None else self.spell.status(day)


@dataclass(frozen=True, slots=True)
class Projection:
    """Everything that follows from the changes, on every day."""

    segments: tuple[Segment, ...] = ()
    spells: tuple[Spell, ...] = ()

    def at(self, day: date) -> Segment | None:
        """The segment of `day`, None where nothing is known at all."""
        return next((segment for segment in self.segments if segment.start <= day < segment.end), None)

    def spell_on(self, day: date) -> Spell | None:
        """The spell that `day` is in."""
        return next((spell for spell in self.spells if day in spell), None)


def standing(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Those that were neither superseded nor cancelled, in order of version.

    What was superseded stays in the place of what it had superseded itself. What supersedes or cancels another may
    itself be cancelled: then it is as if it had never been, and the other stands again.
    """
    replaced: set[UUID] = set()
    cancelled: set[UUID] = set()
    left: list[Change] = []
    for change in sorted(changes, key=lambda change: change.version, reverse=True):
        if change.change_id in cancelled:
            continue
        if change.supersedes is not None:
            replaced.add(change.supersedes)
        if change.change_id not in replaced:
            left.append(change)
            cancelled.update(change.cancels)
    return tuple(reversed(left))


def lineage(changes: Iterable[Change], change_id: UUID) -> tuple[UUID, ...]:
    """The change, and whatever it stands in the place of, newest first."""
    supersedes = {change.change_id: change.supersedes for change in changes}
    found: list[UUID] = []
    before: UUID | None = change_id
    while before is not None:
        found.append(before)
        before = supersedes[before]
    return tuple(found)


def known_at(changes: Iterable[Change], instant: datetime) -> tuple[Change, ...]:
    """Those recorded by then."""
    return tuple(change for change in changes if change.record_time <= instant)


def fold(changes: Iterable[Change]) -> Projection:
    """What follows from the changes that stand.

    A field holds from its effective date until the next change of the same field; a hire starts the work facts anew; a
    correction takes the place of what it supersedes.

    Raises SpellsOverlap, NotEmployed, DateOutOfRange, ChangesLeftOutside.
    """
    everything = tuple(changes)
    left = [change for change in standing(everything) if change.fields]  # the others only took something away
    if not left:
        return Projection()
    ranks = _ranks(everything)
    ordered = sorted(left, key=lambda change: (change.effective_date, ranks[change.change_id]))
    spells = _spells(ordered)
    facts: dict[str, FieldValue] = {}
    pieces: list[Segment] = []
    for day, group in groupby(ordered, key=lambda change: change.effective_date):
        for change in group:
            if change.starts:
                facts = {name: value for name, value in facts.items() if name in PERSON}
            facts.update(change.fields)
        if "legal_name" not in facts:
            raise ChangesLeftOutside(f"nothing is known of the person on {day}: choose a date from the hire on")
        start = day if pieces else BEGINNING
        spell = _spell_for(spells, day)
        piece = Segment(start, FOREVER, spell, _person(facts), _work(facts))
        if pieces:
            before = pieces[-1]
            if (before.spell, before.person, before.work) == (piece.spell, piece.person, piece.work):
                continue
            pieces[-1] = replace(before, end=day)
        pieces.append(piece)
    return Projection(tuple(pieces), spells)


def _ranks(changes: Iterable[Change]) -> dict[UUID, int]:
    """The version that decides the order on one day: a correction has that of what it supersedes."""
    ranks: dict[UUID, int] = {}
    for change in sorted(changes, key=lambda change: change.version):
        ranks[change.change_id] = change.version if change.supersedes is None else ranks[change.supersedes]
    return ranks


def _spells(ordered: Iterable[Change]) -> tuple[Spell, ...]:
    spells: list[Spell] = []
    for change in ordered:
        day = change.effective_date
        if change.starts:
            if spells and spells[-1].end > day:
                raise SpellsOverlap(
                    f"employed since {spells[-1].start}: end that spell before {day} first", effective_date=day
                )
            spells.append(Spell(day))
        elif change.ends:
            if not spells or not spells[-1].open:
                raise NotEmployed(f"there is no open spell that could end before {day}", effective_date=day)
            if day <= spells[-1].start:
                raise DateOutOfRange(f"the last day cannot be before the first, {spells[-1].start}", field="end_date")
            reason: Any = change.fields.get(END_REASON)
            spells[-1] = replace(spells[-1], end=day, end_reason=reason)
    return tuple(spells)


def _spell_for(spells: tuple[Spell, ...], day: date) -> Spell | None:
    begun = [spell for spell in spells if spell.start <= day]
    return begun[-1] if begun else (spells[0] if spells else None)


def _person(facts: Mapping[str, Any]) -> Person:
    return Person(**{name: value for name, value in facts.items() if name in PERSON})


def _work(facts: Mapping[str, Any]) -> Work | None:
    if "assignment_id" not in facts:
        return None
    allowances: list[tuple[str, Compensation]] = []
    statutory: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(name for name in facts if "." in name):
        value = facts[name]
        if value is None:
            continue
        if name.startswith(ALLOWANCE):
            allowances.append((name.removeprefix(ALLOWANCE), value))
        else:
            country, _, question = name.removeprefix(STATUTORY).partition(".")
            statutory.setdefault(country, []).append((question, value))
    return Work(
        Assignment(**{name: value for name, value in facts.items() if name in ASSIGNMENT}),
        facts.get("compensation"),
        tuple(allowances),
        tuple((country, tuple(answers)) for country, answers in statutory.items()),
    )


def hire_fields(
    assignment: Assignment,
    compensation: Compensation | None,
    allowances: Mapping[str, Compensation],
    statutory: Mapping[str, Mapping[str, str]],
) -> dict[str, FieldValue]:
    """The fields that a first day sets."""
    fields: dict[str, FieldValue] = {EMPLOYED: True, "compensation": compensation}
    fields.update({name: getattr(assignment, name) for name in Assignment.__dataclass_fields__})
    fields.update({ALLOWANCE + code: amount for code, amount in allowances.items()})
    for country, answers in statutory.items():
        fields.update({f"{STATUTORY}{country}.{question}": answer for question, answer in answers.items() if answer})
    return fields
