"""A process that has imported what the parts need, and forks `muster` commands that so begin at once.

Its parent is the supervisor of `muster up`, and so it becomes of what is forked here: a new process is orphaned on
purpose, and the supervisor takes in such orphans (`interfaces.cli.forks`). Nothing of gRPC, of the event loop or of a
database is made before a fork, and there is one thread.
"""

import ctypes
import gc
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

PR_SET_PDEATHSIG = 1
ARG_START = 45  # of /proc/self/stat, counted from behind the command's name


def load(parts: Sequence[str]) -> None:
    """Import what these parts run."""
    from interfaces.cli.main import load_lightly

    load_lightly()
    from interfaces.cli.run import main_of

    for part in parts:
        if part != "gateway":  # it becomes Envoy
            main_of(part)
    import asyncmy  # noqa: F401  # these are what parts import when they serve, and `muster migrate`
    import uvicorn  # noqa: F401
    import uvloop  # noqa: F401

    import chassis.migrations  # noqa: F401
    import interfaces.gateway.process  # noqa: F401

    gc.freeze()  # a collection in one process would copy the pages that all share


def serve() -> list[str]:
    """Fork for each line of standard input, and answer its process id. Returns in the forked process: its arguments.

    Standard input at its end ends this process.
    """
    supervisor = os.getppid()
    print("loaded", flush=True)
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        may_begin, begin = os.pipe()
        told, tell = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child:
                os.write(tell, b"%d\n" % child)
                os._exit(0)
            for end in (begin, told, tell):
                os.close(end)
            return become(asked, may_begin, supervisor)
        os.close(may_begin)
        os.close(tell)
        os.waitpid(between, 0)  # from here on the supervisor is the parent
        with os.fdopen(told, "rb") as telling:
            sys.stdout.buffer.write(telling.read())
        sys.stdout.flush()
        with os.fdopen(begin, "wb") as beginning:
            beginning.write(b"!")
    os._exit(0)


def become(asked: Mapping[str, Any], may_begin: int, supervisor: int) -> list[str]:
    """Be the process that was asked for, as if it had been executed; its arguments."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    begins = os.read(may_begin, 1)
    os.close(may_begin)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if not begins or os.getppid() != supervisor:
        os._exit(1)  # nobody would know of it
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    command: list[str] = asked["command"]
    show(command)
    sys.argv[:] = ["muster", *command[3:]]
    return command[3:]


def show(command: Sequence[str]) -> None:
    """Let `ps` show that command instead of this one, as far as this one's own is long."""
    with open("/proc/self/stat") as stat:
        start, end = map(int, stat.read().rpartition(")")[2].split()[ARG_START : ARG_START + 2])
    room = end - start
    if room > 1:
        line = b"\0".join(os.fsencode(word) for word in command)[: room - 1]
        ctypes.memmove(start, line.ljust(room, b"\0"), room)


def main() -> None:
    """`python -m interfaces.cli.loaded PART...`: for the supervisor only."""
    load(sys.argv[1:])
    arguments = serve()
    from interfaces.cli.main import app

    app(arguments, prog_name="muster")


if __name__ == "__main__":
    main()
