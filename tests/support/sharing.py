"""Deployments that test files share, and which files therefore run one after the other in one test process.

A deployment that nobody uses costs a tenth of a processor and more, so it is closed with the last file that wants it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeVar, cast

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.support.deployment import Deployment

D = TypeVar("D", bound=Deployment)

# Files by the dearest deployment that they share. A file that misses here costs time only: one more start.
TOGETHER: Mapping[str, frozenset[str]] = {
    "mesh": frozenset({"test_mesh_under_faults.py", "test_hire_to_payslip.py", "test_push.py"}),
    "fleet": frozenset({"test_a_run_survives.py", "test_degradation.py", "test_under_faults.py", "test_webhooks.py"}),
}
BOTH_FORMS = "both forms"  # the other files of tests/e2e
ORDER = (*TOGETHER, BOTH_FORMS)


def group_of(path: str) -> str:
    """The files that run in one test process with this one; its own path where it shares nothing."""
    file = Path(path)
    for group, names in TOGETHER.items():
        if file.name in names:
            return group
    return BOTH_FORMS if file.parent.name == "e2e" else path


def longest_first(items: list[pytest.Item]) -> None:
    """What shares deployments first, then what starts processes of its own: no long file is left to the end."""

    def rank(item: pytest.Item) -> int:
        group = group_of(item.path.as_posix())
        if group in ORDER:
            return ORDER.index(group)
        return len(ORDER) + (item.get_closest_marker("second_process") is None)

    ranks: dict[Path, int] = {}
    for item in items:
        ranks[item.path] = min(rank(item), ranks.get(item.path, len(ORDER) + 1))
    items.sort(key=lambda item: ranks[item.path])


class Scheduling(LoadFileScheduling):
    """A file, or the files that share a deployment, in one test process."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(super()._split_scope(nodeid))


class Shelf:
    """The deployments that run now.

    Invariants: of one name there is one at most.
    """

    def __init__(self) -> None:
        self._running: dict[str, tuple[Deployment, ExitStack]] = {}

    def taken(self, name: str, starting: Callable[[], AbstractContextManager[D]]) -> D:
        """The running one of that name, started where there is none."""
        if name not in self._running:
            with ExitStack() as stack:
                made = stack.enter_context(starting())
                self._running[name] = made, stack.pop_all()
        return cast("D", self._running[name][0])

    def close_all_but(self, wanted: frozenset[str]) -> None:
        """End those that nobody asks for next."""
        for name in self._running.keys() - wanted:
            _, stack = self._running.pop(name)
            stack.close()


def asked_by(items: list[pytest.Item], path: Path) -> frozenset[str]:
    """The names of fixtures and parameters of a file's tests, among them those of deployments."""
    names: set[str] = set()
    for item in items:
        if item.path == path:
            names.update(getattr(item, "fixturenames", ()))
            if callspec := getattr(item, "callspec", None):
                names.update(value for value in callspec.params.values() if isinstance(value, str))
    return frozenset(names)
