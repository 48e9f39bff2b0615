"""The secrets that sign what is sent, and the signature itself, as Standard Webhooks 1.0 has them."""

import base64
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NewType
from uuid import UUID

SecretId = NewType("SecretId", UUID)

PREFIX = "whsec_"
KEY_BYTES = 32  # the specification allows 24 to 64
LEAST_KEY_BYTES, MOST_KEY_BYTES = 24, 64


@dataclass(frozen=True, slots=True)
class Secret:
    """A key that signs, for good or until an instant.

    Invariants: 24 to 64 random bytes, which no repr shows.
    """

    id: SecretId
    key: bytes = field(repr=False)
    created_time: datetime
    expire_time: datetime | None = None  # None: the newest one

    def __post_init__(self) -> None:
        if not LEAST_KEY_BYTES <= len(self.key) <= MOST_KEY_BYTES:
            raise ValueError(f"a webhook secret has {LEAST_KEY_BYTES} to {MOST_KEY_BYTES} bytes")

    @property
    def text(self) -> str:
        """As the receiver is told it."""
        return PREFIX + base64.b64encode(self.key).decode()

    def signs_at(self, at: datetime) -> bool:
        """Whether it signs at that instant."""
        return self.expire_time is None or at < self.expire_time


def signatures(secrets: Iterable[Secret], message_id: str, at: datetime, body: bytes) -> str:
    """The value of `webhook-signature`: one "v1,..." for each secret that signs then, the newest first."""
    content = f"{message_id}.{int(at.timestamp())}.".encode() + body
    live = sorted((one for one in secrets if one.signs_at(at)), key=lambda one: one.created_time, reverse=True)
    return " ".join(f"v1,{base64.b64encode(hmac.digest(one.key, content, sha256)).decode()}" for one in live)
