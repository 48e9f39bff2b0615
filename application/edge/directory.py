"""Finds the operation of a path in one walk, however many operations there are."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Place(Generic[T]):
    words: "dict[str, _Place[T]]" = field(default_factory=dict)
    any_word: "_Place[T] | None" = None
    methods: dict[str, tuple[T, tuple[str, ...]]] = field(default_factory=dict)


class Directory(Generic[T]):
    """Things by method and path; `{name}` in a path stands for one word that is not empty.

    Invariants: a written word goes before `{name}`; no method and path is given twice.
    """

    def __init__(self, entries: Iterable[tuple[str, str, T]]) -> None:
        self._root: _Place[T] = _Place()
        for method, path, thing in entries:
            place, names = self._root, []
            for word in path.split("/")[1:]:
                if word.startswith("{"):
                    names.append(word.strip("{}"))
                    place.any_word = place.any_word or _Place()
                    place = place.any_word
                else:
                    place = place.words.setdefault(word, _Place())
            if method in place.methods:
                raise ValueError(f"{method} {path} is given twice")
            place.methods[method] = (thing, tuple(names))

    def find(self, method: str, path: str) -> tuple[T, dict[str, str]] | None:
        """The thing and the words that stand for its names, None where there is none."""
        for place, words in self._places(path):
            found = place.methods.get(method)
            if found is not None:
                return found[0], dict(zip(found[1], words, strict=True))
        return None

    def methods(self, path: str) -> set[str]:
        """The methods that the path has."""
        return {method for place, _ in self._places(path) for method in place.methods}

    def _places(self, path: str) -> list[tuple[_Place[T], tuple[str, ...]]]:
        places: list[tuple[_Place[T], tuple[str, ...]]] = [(self._root, ())]
        for word in path.split("/")[1:]:
            following: list[tuple[_Place[T], tuple[str, ...]]] = []
            for place, words in places:
                written = place.words.get(word)
                if written is not None:
                    following.append((written, words))
                if place.any_word is not None and word:
                    following.append((place.any_word, (*words, word)))
            if not following:
                return []
            places = following
        return places
