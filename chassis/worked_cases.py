"""Worked cases: published examples with their inputs and expected values, recomputed and compared exactly.

Nothing is computed here: a shape (topic and kind) says which inputs go to which function and what its answer is called
in the case.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from kernel.errors import DomainError, Kind

MAX_BYTES = 32 * 1024 * 1024
MAX_CASES = 100_000
_MAX_DEPTH = 16
_MAX_AMOUNT = Decimal(10) ** 13
_MAX_PLACES = 12
_ZERO = Decimal(0)

EnumT = TypeVar("EnumT", bound=Enum)
Answer = Mapping[str, object]
Shape = Callable[["Inputs"], Answer]
Shapes = Mapping[tuple[str, str], Shape]  # by topic and kind


class CasesUnreadable(DomainError):
    """A file that is not a list of worked cases; the message says where it goes wrong."""

    kind, reason = Kind.INVALID, "WORKED_CASES_UNREADABLE"


class TopicUnknown(DomainError):
    """A topic that no pack can compute."""

    kind, reason = Kind.INVALID, "WORKED_CASE_TOPIC_UNKNOWN"


class CaseShapeUnknown(DomainError):
    """A case whose topic, kind or inputs are not what the runner knows."""

    kind, reason = Kind.INVALID, "WORKED_CASE_SHAPE_UNKNOWN"


@dataclass(frozen=True, slots=True)
class WorkedCase:
    """One case as it was published: numbers are Decimals."""

    id: str
    topic: str
    kind: str
    inputs: Mapping[str, Any]
    expected: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One expected value that was not met; `key` is "" where the whole case could not be computed."""

    case_id: str
    topic: str
    key: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a set of cases. Invariants: a case matches when none of its expected values differs."""

    totals: tuple[tuple[str, int, int], ...]  # topic, matched, cases
    differences: tuple[Difference, ...]

    @property
    def cases(self) -> int:
        """How many cases were looked at."""
        return sum(total for _, _, total in self.totals)

    @property
    def matched(self) -> int:
        """How many of them agree in every expected value."""
        return sum(matched for _, matched, _ in self.totals)


def read_cases(raw: bytes, room: int = MAX_CASES) -> tuple[WorkedCase, ...]:
    """The cases of one file, at most `room`. Raises CasesUnreadable."""
    if len(raw) > MAX_BYTES:
        raise CasesUnreadable(f"the file has more than {MAX_BYTES} bytes")
    try:
        found = json.loads(
            raw.decode("utf-8"),
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_no_repeats,
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise CasesUnreadable(f"not strict JSON: {error}") from None
    if not isinstance(found, list):
        raise CasesUnreadable("a file of worked cases is one JSON list of cases")
    if len(found) > room:
        raise CasesUnreadable(f"one call takes at most {MAX_CASES} cases")
    return tuple(_case(position, item) for position, item in enumerate(found, start=1))


def check(cases: Iterable[WorkedCase], shapes: Shapes, topics: Sequence[str] | None = None) -> Report:
    """Recompute the cases of these topics (None: all). Raises TopicUnknown.

    An unknown topic, kind or input, a repeated id and an input that the shape refuses are differences, never passed.
    """
    known = sorted({topic for topic, _ in shapes})
    unknown = sorted(set(topics or ()) - set(known))
    if unknown:
        raise TopicUnknown(f"no topic is called {', '.join(unknown)}; there are {', '.join(known)}")
    totals: dict[str, list[int]] = {}
    differences: list[Difference] = []
    seen: set[str] = set()
    for case in cases:
        if topics and case.topic not in topics:
            continue
        found = _differences(case, shapes)
        if case.id in seen:
            found.append(Difference(case.id, case.topic, "", "one case of this id", "another one before it"))
        seen.add(case.id)
        counts = totals.setdefault(case.topic, [0, 0])
        counts[0] += not found
        counts[1] += 1
        differences += found
    return Report(tuple((topic, *map(int, totals[topic])) for topic in sorted(totals)), tuple(differences))  # type: ignore[misc]


# ---------------------------------------------------------------------------------------------------- reading a case


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not a number")


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key stands twice among {', '.join(key for key, _ in pairs)[:200]}")
    return found


def _case(position: int, item: object) -> WorkedCase:
    where = f"case {position}"
    if not isinstance(item, dict):
        raise CasesUnreadable(f"{where} is not an object")
    texts = []
    for name in ("id", "topic", "kind"):
        value = item.get(name)
        if not isinstance(value, str) or not value or len(value) > 200:
            raise CasesUnreadable(f"{where} needs {name} as a text of 1 to 200 characters")
        texts.append(value)
    for name in ("inputs", "expected"):
        if not isinstance(item.get(name), dict):
            raise CasesUnreadable(f"{where} needs {name} as an object")
    return WorkedCase(texts[0], texts[1], texts[2], item["inputs"], item["expected"])


class Inputs:
    """The inputs of one case, read by name and type. Invariants: what is left unread at the end is an unknown shape."""

    def __init__(self, given: Mapping[str, Any], path: str = "") -> None:
        self._given = given
        self._unread = set(given)
        self._path = path

    def _take(self, name: str) -> Any:
        self._unread.discard(name)
        return self._given.get(name)

    def _wrong(self, name: str, wanted: str) -> CaseShapeUnknown:
        return CaseShapeUnknown(f"input {self._path}{name} is not {wanted}", field=f"{self._path}{name}")

    def maybe(self, name: str) -> Decimal | None:
        """A number, None where absent or null."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise self._wrong(name, "a number")
        if abs(value) > _MAX_AMOUNT or -int(value.as_tuple().exponent) > _MAX_PLACES:
            raise self._wrong(name, f"a number up to {_MAX_AMOUNT:f} with at most {_MAX_PLACES} places")
        return value

    def number(self, name: str) -> Decimal:
        """A number, 0 where absent or null."""
        value = self.maybe(name)
        return _ZERO if value is None else value

    def given(self, name: str) -> Decimal:
        """A number that must be there."""
        value = self.maybe(name)
        if value is None:
            raise self._wrong(name, "given")
        return value

    def whole(self, name: str, low: int, high: int) -> int:
        """A whole number that must be there, within bounds."""
        value = self.given(name)
        if value != value.to_integral_value() or not low <= value <= high:
            raise self._wrong(name, f"a whole number from {low} to {high}")
        return int(value)

    def text(self, name: str) -> str | None:
        """A text, None where absent or null."""
        value = self._take(name)
        if value is not None and (not isinstance(value, str) or len(value) > 200):
            raise self._wrong(name, "a text")
        return value

    def word(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if value is None:
            raise self._wrong(name, "given")
        return value

    def one_of(self, name: str, words: type[EnumT]) -> EnumT:
        """A member of a closed list of words that must be there."""
        value = self.word(name)
        try:
            return words(value)
        except ValueError:
            raise self._wrong(name, f"one of {', '.join(str(word.value) for word in words)}") from None

    def day(self, name: str) -> date:
        """A date that must be there."""
        try:
            return date.fromisoformat(self.word(name))
        except ValueError:
            raise self._wrong(name, "a date") from None

    def month(self, name: str) -> date:
        """The first day of a month that must be there."""
        found = self.maybe_month(name)
        if found is None:
            raise self._wrong(name, "given")
        return found

    def maybe_month(self, name: str) -> date | None:
        """The first day of a month, None where absent or null."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return date.fromisoformat(f"{text}-01")
        except ValueError:
            raise self._wrong(name, "a month as YYYY-MM") from None

    def part(self, name: str) -> "Inputs | None":
        """An object, None where absent or null; its own keys must all be read too."""
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return Inputs(value, f"{self._path}{name}.")

    def parts(self, name: str) -> tuple["Inputs", ...]:
        """A list of objects, empty where absent or null."""
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(name, "a list of objects")
        return tuple(Inputs(item, f"{self._path}{name}[{index}].") for index, item in enumerate(value))

    def done(self) -> None:
        """Refuse what nothing read: a rule may hang on it."""
        if self._unread:
            names = ", ".join(f"{self._path}{name}" for name in sorted(self._unread))
            raise CaseShapeUnknown(f"nothing reads the inputs {names}")


# -------------------------------------------------------------------------------------------------------- comparing


def _differences(case: WorkedCase, shapes: Shapes) -> list[Difference]:
    shape = shapes.get((case.topic, case.kind))
    if shape is None:
        return [Difference(case.id, case.topic, "", "a known topic and kind", f"{case.topic} {case.kind}")]
    try:
        inputs = Inputs(case.inputs)
        answer = shape(inputs)
        inputs.done()
    except DomainError as refused:
        return [Difference(case.id, case.topic, "", "an answer", f"{refused.reason}: {refused.message}")]
    except ArithmeticError as error:
        return [Difference(case.id, case.topic, "", "an answer", f"{type(error).__name__}: numbers out of range")]
    found: list[Difference] = []
    compared = _compare(case, "", case.expected, answer, found)
    if not compared:
        found.append(Difference(case.id, case.topic, "", "an expected value", "none stated"))
    return found


def _compare(
    case: WorkedCase, path: str, expected: Mapping[str, Any], got: Mapping[str, Any], found: list[Difference]
) -> int:
    """Add what differs to `found`; how many values were compared."""
    compared = 0
    for name, wanted in expected.items():
        if wanted is None:
            continue
        key = f"{path}{name}"
        actual = got.get(name)
        if isinstance(wanted, Mapping) and isinstance(actual, Mapping) and key.count(".") < _MAX_DEPTH:
            compared += _compare(case, f"{key}.", wanted, actual, found)
            continue
        compared += 1
        if not _equal(wanted, actual):
            found.append(Difference(case.id, case.topic, key, _shown(wanted), _shown(actual)))
    return compared


def _equal(wanted: object, actual: object) -> bool:
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return wanted is actual
    if isinstance(actual, date):
        return wanted == actual.isoformat()
    if isinstance(wanted, list) and isinstance(actual, list | tuple):
        return len(wanted) == len(actual) and all(map(_equal, wanted, actual))
    if isinstance(actual, int):
        return wanted == Decimal(actual) and isinstance(wanted, Decimal)
    return type(wanted) is type(actual) and wanted == actual


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)[:200]
