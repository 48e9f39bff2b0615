"""`muster` commands of tests, from a process that has imported already: what takes a second of a processor takes none.

The command is the real one, in a process of its own, with the environment that its deployment gives it.
"""

import atexit
import contextlib
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOADED = ("interfaces.cli.main", "interfaces.cli.operator", "interfaces.cli.run", "interfaces.cli.up")
START_S = 60.0
ORPHANED_S = 1.0  # how soon it sees that its test process ended


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str


class Commands:
    """One process that forks for each command.

    Invariants: it ends with the test process that started it.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="muster-commands-"))
        self._path = str(self._folder / "socket")
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.commands", self._path],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError((self._folder / "log").read_text())

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> Done:
        """Run `muster` with these. Raises TimeoutError."""
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(timeout_s)
            talk.connect(self._path)
            talk.sendall(json.dumps({"arguments": list(arguments), "environment": dict(environment)}).encode())
            talk.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: talk.recv(65536), b""))
        return Done(**json.loads(said))

    def close(self) -> None:
        """End it and remove its folder."""
        self._process.kill()
        self._process.communicate()
        subprocess.run(["rm", "-rf", str(self._folder)], check=False)


@cache
def commands() -> Commands:
    """Those of this test process."""
    made = Commands()
    atexit.register(made.close)
    return made


def serve(path: str) -> None:
    """Fork for each connection, until the test process is gone."""
    for module in LOADED:
        importlib.import_module(module)
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(64)
        door.settimeout(ORPHANED_S)
        print("ready", flush=True)
        while os.getppid() == parent:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            try:
                talk, _ = door.accept()
            except TimeoutError:
                continue
            with talk:
                if os.fork() == 0:
                    door.close()
                    answer(talk)
                    os._exit(0)


def answer(talk: socket.socket) -> None:
    """Run the command that is asked for, and tell what came of it."""
    asked = json.loads(b"".join(iter(lambda: talk.recv(65536), b"")))
    os.environ.clear()
    os.environ.update(asked["environment"])
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        code = command(asked["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
        told = []
        for file in (out, err):
            file.seek(0)
            told.append(file.read().decode())
    talk.sendall(json.dumps(Done(code, *told).__dict__).encode())


def command(arguments: Sequence[str]) -> int:
    """The exit code of `muster` with these arguments."""
    from interfaces.cli.main import app

    try:
        app(list(arguments), prog_name="muster")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
