"""Commands that share a commit: each fails alone, all are durable before any is answered, order and limits are kept."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chassis.write_turns import MOST_TOGETHER, Writer
from tests.support.deployment import ROOT, surroundings

COMMANDS = 6


class Lost(Exception):
    """The shared transaction was undone."""


class Refused(Exception):
    """A command's own refusal."""


class DiskFull(Exception):
    """A commit that fails."""


class File:
    """An SQLite file's one writing connection, whose commits can be held and made to fail."""

    def __init__(self, path: Path) -> None:
        self._driver = sqlite3.connect(path, isolation_level=None)
        self._driver.execute("CREATE TABLE IF NOT EXISTS done (number INTEGER)")
        self.commits: list[int] = []  # rows that each commit made durable
        self.disk = asyncio.Event()
        self.disk.set()
        self.failing = False
        self.then: Callable[[], object] = lambda: None  # called when the loop has its turn after a commit

    async def begin(self) -> None:
        self._driver.execute("BEGIN IMMEDIATE")

    def mark(self) -> None:
        self._driver.execute("SAVEPOINT command")

    def keep(self) -> None:
        self._driver.execute("RELEASE command")

    def undo(self) -> None:
        self._driver.execute("ROLLBACK TO command")
        self._driver.execute("RELEASE command")

    async def commit(self) -> None:
        await self.disk.wait()
        if self.failing:
            raise DiskFull
        before = sum(self.commits)
        self._driver.execute("COMMIT")
        self.commits.append(len(self.numbers()) - before)
        asyncio.get_running_loop().call_soon(self.then)

    def rollback(self) -> None:
        self._driver.rollback()

    @property
    def in_transaction(self) -> bool:
        return self._driver.in_transaction

    def add(self, number: int) -> None:
        """One command's work."""
        self._driver.execute("INSERT INTO done VALUES (?)", (number,))

    def numbers(self) -> list[int]:
        """What is in the file, in the order in which it was written."""
        return [number for (number,) in self._driver.execute("SELECT number FROM done ORDER BY rowid")]

    def lose_transaction(self) -> None:
        """What some errors of SQLite do."""
        self._driver.execute("ROLLBACK")


def writer_of(file: File, kind: "Callable[..., Writer[File]]" = Writer) -> "Writer[File]":
    return kind(lambda: file, check=lambda began: None, lost=Lost, committed=lambda: None)


async def command(writer: "Writer[File]", number: int, *, together: bool = True, refused: bool = False) -> int:
    """Add a number, or be refused after having added it."""
    async with writer.turn(together=together) as file:
        file.add(number)
        if refused:
            raise Refused
    return number


async def waiting(file: File, writer: "Writer[File]", commands: Sequence[Any]) -> list["asyncio.Task[Any]"]:
    """These commands in line behind a first one (0) whose commit the disk then lets through, and holds the next."""
    file.disk.clear()
    first = asyncio.create_task(command(writer, 0))
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(one) for one in commands]
    await asyncio.sleep(0.01)
    assert not first.done()
    file.disk.set()
    await first
    file.disk.clear()
    await asyncio.sleep(0.01)
    return tasks


async def test_commands_that_wait_for_the_writer_share_one_commit_in_their_order(tmp_path: Path) -> None:
    file = File(tmp_path / "file")
    writer = writer_of(file)

    tasks = await waiting(file, writer, [command(writer, number) for number in range(1, COMMANDS)])
    file.disk.set()
    answers = await asyncio.gather(*tasks)

    assert answers == [*range(1, COMMANDS)]
    assert file.numbers() == [*range(COMMANDS)]
    assert file.commits == [1, COMMANDS - 1]


async def test_a_command_alone_waits_for_nobody(tmp_path: Path) -> None:
    file = File(tmp_path / "file")
    writer = writer_of(file)

    for number in range(3):
        await command(writer, number)

    assert file.commits == [1, 1, 1]


async def one_refused_among_others(file: File, writer: "Writer[File]") -> None:
    """Each command of a shared commit fails alone."""
    commands = [command(writer, number, refused=number in (1, 3)) for number in range(1, COMMANDS)]
    tasks = await waiting(file, writer, commands)
    file.disk.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in answers] == [Refused, int, Refused, int, int]
    assert file.numbers() == [0, 2, 4, 5]


async def test_a_command_that_is_refused_undoes_its_own_work_only(tmp_path: Path) -> None:
    file = File(tmp_path / "file")

    await one_refused_among_others(file, writer_of(file))


class KeepsAll(File):
    """The planted bug: a refused command's work stays."""

    def undo(self) -> None:
        self.keep()


class UndoesAll(File):
    """The planted bug: a refused command takes the work of those before it along."""

    def undo(self) -> None:
        self._driver.execute("ROLLBACK")
        self._driver.execute("BEGIN IMMEDIATE")


@pytest.mark.parametrize("bug", [KeepsAll, UndoesAll])
async def test_without_a_mark_of_its_own_a_refused_command_would_spoil_the_others(
    tmp_path: Path, bug: type[File]
) -> None:
    file = bug(tmp_path / "file")

    with pytest.raises(AssertionError):
        await one_refused_among_others(file, writer_of(file))


async def nobody_is_answered_before_the_disk(file: File, writer: "Writer[File]") -> None:
    """Neither what was done nor what was refused by what others did."""
    commands = [command(writer, number, refused=number == 2) for number in range(1, COMMANDS)]
    tasks = await waiting(file, writer, commands)
    meanwhile = [task.done() for task in tasks]
    file.disk.set()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert not any(meanwhile)


async def test_nobody_is_answered_before_the_shared_commit_is_durable(tmp_path: Path) -> None:
    file = File(tmp_path / "file")

    await nobody_is_answered_before_the_disk(file, writer_of(file))


class AnswersEarly(Writer[File]):
    """The planted bug: answers as soon as a command's own work is done."""

    async def _done(self, connection: File, mine: Any) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                await super()._done(connection, mine)


async def test_without_waiting_an_answer_would_be_given_that_a_crash_takes_back(tmp_path: Path) -> None:
    file = File(tmp_path / "file")

    with pytest.raises(AssertionError):
        await nobody_is_answered_before_the_disk(file, writer_of(file, AnswersEarly))


async def test_where_the_commit_fails_all_of_it_fail_and_the_next_command_goes_on(tmp_path: Path) -> None:
    file = File(tmp_path / "file")
    writer = writer_of(file)
    commands = [command(writer, number, refused=number == 2) for number in range(1, COMMANDS)]

    tasks = await waiting(file, writer, commands)
    file.failing = True
    file.disk.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    file.failing = False
    await command(writer, 99)

    assert [type(answer) for answer in answers] == [DiskFull] * (COMMANDS - 1)
    assert file.numbers() == [0, 99]


async def test_a_transaction_that_is_lost_fails_all_of_its_commands(tmp_path: Path) -> None:
    file = File(tmp_path / "file")
    writer = writer_of(file)

    async def loses() -> None:
        async with writer.turn(together=True) as held:
            held.lose_transaction()
            raise Refused

    tasks = await waiting(file, writer, [command(writer, 1), loses(), command(writer, 2)])
    file.disk.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in answers] == [Lost, Refused, int]
    assert file.numbers() == [0, 2]


async def test_who_gives_up_waiting_takes_nobody_along(tmp_path: Path) -> None:
    file = File(tmp_path / "file")
    writer = writer_of(file)

    tasks = await waiting(file, writer, [command(writer, number) for number in range(1, COMMANDS)])
    tasks[0].cancel()  # its work is done; it waits for the disk
    tasks[-1].cancel()
    await asyncio.sleep(0)
    file.disk.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    await command(writer, 99)

    assert [type(answer) for answer in answers[1:-1]] == [int] * (COMMANDS - 3)
    assert file.numbers() == [*range(COMMANDS), 99]


async def test_who_gives_up_as_its_turn_comes_passes_it_on(tmp_path: Path) -> None:
    file = File(tmp_path / "file")
    writer = writer_of(file)
    file.disk.clear()
    first = asyncio.create_task(command(writer, 0))
    await asyncio.sleep(0)
    second, third = (asyncio.create_task(command(writer, number)) for number in (1, 2))
    await asyncio.sleep(0)

    file.then = second.cancel  # the turn was given to it by then, and it has not run yet
    file.disk.set()
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    async with asyncio.timeout(5):
        await third

    assert file.numbers() == [0, 2]


async def test_a_command_that_did_not_ask_for_it_shares_with_nobody_and_keeps_its_place(tmp_path: Path) -> None:
    file = File(tmp_path / "file")
    writer = writer_of(file)
    commands = [command(writer, number, together=number != 3) for number in range(1, COMMANDS)]

    tasks = await waiting(file, writer, commands)
    file.disk.set()
    await asyncio.gather(*tasks)

    assert file.numbers() == [*range(COMMANDS)]
    assert file.commits == [1, 2, 1, 2]


async def test_a_commit_is_shared_by_no_more_than_the_limit(tmp_path: Path) -> None:
    file = File(tmp_path / "file")
    writer = writer_of(file)

    tasks = await waiting(file, writer, [command(writer, number) for number in range(1, 2 * MOST_TOGETHER + 1)])
    file.disk.set()
    await asyncio.gather(*tasks)

    assert max(file.commits) <= MOST_TOGETHER
    assert sum(file.commits) == 2 * MOST_TOGETHER + 1


async def test_what_is_not_durable_yet_is_known_by_its_beginning(tmp_path: Path) -> None:
    file = File(tmp_path / "file")
    writer = writer_of(file)

    tasks = await waiting(file, writer, [command(writer, number) for number in range(1, 4)])
    meanwhile = writer.since
    file.disk.set()
    await asyncio.gather(*tasks)

    assert meanwhile is not None
    assert writer.since is None


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_what_is_kept_is_what_was_answered(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    file = File(tmp_path / "file")
    writer = writer_of(file)
    done: set[int] = set()
    unsure: set[int] = set()

    async def one(number: int) -> None:
        await asyncio.sleep(dice.random() / 50)
        try:
            async with asyncio.timeout(dice.choice([0.001, 0.01, 5, 5, 5])):
                await command(writer, number, together=dice.random() < 0.9, refused=dice.random() < 0.2)
            done.add(number)
        except (Refused, DiskFull):
            pass
        except TimeoutError:
            unsure.add(number)

    async def disk() -> None:
        while True:
            file.disk.clear()
            await asyncio.sleep(dice.random() / 200)
            file.failing = dice.random() < 0.15
            file.disk.set()
            await asyncio.sleep(0)

    turning = asyncio.create_task(disk())
    async with asyncio.timeout(30):
        await asyncio.gather(*(one(number) for number in range(60)))
    turning.cancel()
    file.failing = False
    file.disk.set()
    await command(writer, 99)

    kept = file.numbers()
    assert len(kept) == len(set(kept))
    assert done <= set(kept) <= done | unsure | {99}


KILLED = """
import asyncio, sys
from pathlib import Path
from uuid import UUID, uuid4
from chassis.database import Database
from tests.chassis.test_database import BADGE, METADATA, OURS, badge

async def main():
    database = Database(f"sqlite:///{sys.argv[1]}", METADATA)
    await database.create_tables()
    async def one():
        while True:
            row = badge(uuid4().hex[:20])
            async with database.write(OURS, together=True) as tx:
                await tx.insert(BADGE, row)
            print(row["id"].hex, flush=True)
    await asyncio.gather(*(one() for _ in range(16)))
asyncio.run(main())
"""


@pytest.mark.second_process
def test_what_was_answered_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "badges.sqlite3"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, env=surroundings(), cwd=ROOT
    )
    assert process.stdout is not None

    answered = [process.stdout.readline().strip() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    answered += [line.strip() for line in process.stdout.read().splitlines() if len(line) == 32]
    process.wait(10)
    process.stdout.close()

    with contextlib.closing(sqlite3.connect(path)) as file:
        kept = {row[0].hex().encode() for row in file.execute("SELECT id FROM badge")}
    assert len(answered) >= 200
    assert set(answered) <= kept
