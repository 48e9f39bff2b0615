"""The folder of the embedded form's data: held by one process, which says there where it can be reached."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from chassis.lifecycle import CannotStart
from chassis.settings import Settings

STATE_FILE = "running.json"


class FolderInUse(CannotStart):
    """Another process works in this data folder."""


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Hold the data folder alone. Raises FolderInUse with the other process's number."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with open(data_dir / "lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise FolderInUse(
                f"{data_dir} is in use by process {file.read(20).strip() or 'unknown'}: stop it, or choose another "
                "folder with --data"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def prepare_secrets(settings: Settings) -> None:
    """Make the keyring and the keys of inner assertions where they are missing; those that exist stay."""
    from chassis.assertion import prepare_keys
    from chassis.keyring import FileKeyring

    FileKeyring.open_or_create(settings.keyring)
    prepare_keys(settings)


def addresses_of_running(data_dir: Path) -> dict[str, str]:
    """The gRPC addresses of the backend that works in this folder now; empty where none does."""
    try:
        state = orjson.loads((data_dir / STATE_FILE).read_bytes())
        os.kill(state["pid"], 0)
    except (OSError, ValueError):
        return {}
    return dict(state["addresses"])
