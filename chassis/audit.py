"""Who did what, when and why: written in the transaction of the change."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from chassis.database import Tx
from chassis.principal import Call
from chassis.tables import audit


@dataclass(frozen=True, slots=True)
class Note:
    """What a command wants remembered: its subject, the stated reason and hashes of what was there before and after."""

    subject: str
    reason: str | None = None
    before: bytes = b""
    after: bytes = b""


def _hash(content: bytes) -> bytes | None:
    return sha256(content).digest() if content else None


async def write(tx: Tx, call: Call, note: Note, audit_id: UUID, now: datetime) -> None:
    """Add the audit row."""
    await tx.insert(
        audit,
        {
            "audit_id": audit_id,
            "recorded_time": now,
            "actor": call.principal.subject[:80],
            "on_behalf_of": call.principal.on_behalf_of,
            "operation": call.operation[-120:],
            "request_id": call.request_id,
            "subject": note.subject[:80],
            "reason": note.reason[:500] if note.reason else None,
            "before_hash": _hash(note.before),
            "after_hash": _hash(note.after),
            "sequence": None,
            "chain_hash": None,
        },
        later=True,
    )
