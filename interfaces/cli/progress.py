"""Progress of long work on the screen: a live bar for people, plain lines where the output is a file or a pipe."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

WIDTH = 100
TITLE = 32
RESULT = 54
PLAIN_EVERY_S = 2.0


def console_for(width: int = WIDTH) -> Console:
    """Standard output at most `width` columns wide; no colours and no control characters unless it is a terminal."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    console.width = min(console.width, width) if console.is_terminal else width
    return console


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """The rate so far."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")


class Step:
    """One piece of work under way: how far it is, and what is said of it at its end."""

    def __init__(self, steps: "Steps", title: str, total: int) -> None:
        self._steps = steps
        self._said_at = time.perf_counter()
        self.title = title
        self.total = total
        self.done = 0
        self.result = ""
        self.seconds = 0.0

    def advance(self, count: int = 1) -> None:
        """`count` more are done."""
        self.reach(self.done + count)

    def reach(self, done: int) -> None:
        """So many are done."""
        self.done = done
        now = time.perf_counter()
        if self._steps.bar is not None and self._steps.task is not None:
            self._steps.bar.update(self._steps.task, completed=done, total=self.total)
        elif self._steps.console is not None and now - self._said_at >= PLAIN_EVERY_S:
            self._said_at = now
            how_far = f"{done:,} of {self.total:,}" if self.total else "begins"
            self._steps.console.print(f"  {self.title:<{TITLE}} {how_far}")

    def add_seconds(self, seconds: float) -> None:
        """Time that belongs to the step and was spent before it could be opened."""
        self.seconds += seconds

    def say(self, result: str) -> None:
        """What stands behind the title when it is over."""
        self.result = result


class Steps:
    """Steps one after another; each leaves one line with its result and its seconds.

    Invariants: one step at a time; without a console nothing is printed and everything is kept all the same.
    """

    def __init__(self, console: Console | None) -> None:
        self.console = console
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.over: list[Step] = []

    @contextmanager
    def step(self, title: str, total: int = 0) -> Iterator[Step]:
        """A step; an exception passes through after the line so far is cleared away."""
        step = Step(self, title, total)
        began = time.perf_counter()
        with self._live(title, total):
            yield step
        step.seconds += time.perf_counter() - began
        self.over.append(step)
        if self.console is not None:
            result = step.result if len(step.result) <= RESULT else step.result[: RESULT - 3] + "..."
            self.console.print(f"  {title:<{TITLE}} {result:<{RESULT}} {step.seconds:6.2f} s", markup=False)

    @contextmanager
    def _live(self, title: str, total: int) -> Iterator[None]:
        if self.console is None or not self.console.is_terminal:
            yield
            return
        columns = (
            TextColumn("  {task.description}", table_column=None),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            self.bar, self.task = bar, bar.add_task(f"{title:<{TITLE}}", total=total or None)
            try:
                yield
            finally:
                self.bar = self.task = None
