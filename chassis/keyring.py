"""Where the keys of encrypted fields come from: a port, and the file that an installation of its own uses."""

import base64
import contextlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from chassis.lifecycle import CannotStart

FORMAT = 1
KEY_BYTES = 32


class KeyringProblem(CannotStart):
    """The keyring cannot be used, and what to do."""


class Keyring(Protocol):
    """Root keys by number. Keys of tenants are derived from them (`crypto.py`), so that a root never touches data."""

    @property
    def current(self) -> int:
        """The key with which new ciphertexts are made."""
        ...

    def field_root(self, key_id: int) -> bytes:
        """The root key (32 bytes) of that number. Raises KeyError where it was destroyed or never was."""
        ...

    def index_root(self) -> bytes:
        """The root key (32 bytes) of blind indexes; it stays when field keys rotate, or searches would miss."""
        ...


@dataclass(frozen=True, slots=True)
class FileKeyring:
    """A keyring in one file that only its owner may read.

    Invariants: file mode 0600 or stricter; at least one key; the current one is among them.
    """

    current: int
    _fields: Mapping[int, bytes] = field(repr=False)
    _index: bytes = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> "FileKeyring":
        """Raises KeyringProblem where the file is missing, open to others, or damaged."""
        try:
            if open_to_others(path):
                raise KeyringProblem(f"{path} can be read by others: run chmod 600 on it")
            return cls._parse(json.loads(path.read_bytes()))
        except FileNotFoundError:
            raise KeyringProblem(
                f"{path} is missing: restore it from its backup, or set MUSTER_KEYRING_PATH; without it the encrypted"
                " fields cannot be read"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise KeyringProblem(f"{path} is not a readable keyring: restore it from its backup") from error

    @classmethod
    def open_or_create(cls, path: Path) -> "FileKeyring":
        """Like `open`, but a missing file is made with fresh keys (the embedded form and set-up tools)."""
        if not path.exists():
            fresh = cls(1, {1: secrets.token_bytes(KEY_BYTES)}, secrets.token_bytes(KEY_BYTES))
            fresh.write(path, replace=False)
        return cls.open(path)

    @classmethod
    def _parse(cls, document: Mapping[str, Any]) -> "FileKeyring":
        if document["format"] != FORMAT:
            raise ValueError("format")
        fields = {int(number): base64.b64decode(key, validate=True) for number, key in document["fields"].items()}
        index = base64.b64decode(document["index"], validate=True)
        current = int(document["current"])
        if current not in fields or any(len(key) != KEY_BYTES for key in (*fields.values(), index)):
            raise ValueError("keys")
        return cls(current, fields, index)

    def write(self, path: Path, *, replace: bool) -> None:
        """Store it, readable by its owner only; without `replace`, a file that is there already stays."""
        document = {
            "format": FORMAT,
            "current": self.current,
            "fields": {str(number): base64.b64encode(key).decode() for number, key in sorted(self._fields.items())},
            "index": base64.b64encode(self._index).decode(),
        }
        write_whole(path, json.dumps(document).encode(), mode=0o600, replace=replace)

    def rotated(self) -> "FileKeyring":
        """With a fresh current key; the older ones still open what they sealed."""
        number = max(self._fields) + 1
        return FileKeyring(number, {**self._fields, number: secrets.token_bytes(KEY_BYTES)}, self._index)

    def without(self, key_id: int) -> "FileKeyring":
        """With one older key destroyed: what it sealed can never be read again. Raises ValueError for the current."""
        if key_id == self.current:
            raise ValueError("the current key cannot be destroyed: rotate first")
        return FileKeyring(self.current, {n: key for n, key in self._fields.items() if n != key_id}, self._index)

    def field_root(self, key_id: int) -> bytes:
        return self._fields[key_id]

    def index_root(self) -> bytes:
        return self._index


def open_to_others(path: Path) -> bool:
    """Whether anybody but this process's user may read or change a file of secrets. Raises OSError.

    A file that belongs to somebody else (root, who mounted it) may be read by its group: that is the only way in which
    Kubernetes hands a secret to a process that is not root.
    """
    found = path.stat()
    allowed = 0o700 if found.st_uid == os.geteuid() else 0o740
    return bool(stat.S_IMODE(found.st_mode) & ~allowed)


def write_whole(path: Path, content: bytes, *, mode: int, replace: bool) -> None:
    """Write a file that is there whole or not at all, even after a power cut; without `replace` the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(fresh, path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
