"""A session: a family of refresh tokens of which only the newest works."""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import NewType
from uuid import UUID

from contexts.identity.domain.account import AccountId
from contexts.identity.domain.errors import SessionRefused

SessionId = NewType("SessionId", UUID)

MAX_SESSIONS = 20  # live ones of an account; opening another ends the oldest
IDLE = timedelta(days=14)  # without a refresh
LONGEST = timedelta(days=90)  # whatever happens


class EndReason(Enum):
    """Why a session takes no refresh token any more."""

    REUSED = "REUSED"  # somebody sent a refresh token that was used before: one of two holders stole it
    DISABLED = "DISABLED"
    DISPLACED = "DISPLACED"  # by newer sessions of the account


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in that goes on: each refresh uses up one secret and gives the next.

    Invariants: `secret_hash` is SHA-256 of the only secret that works; an ended session never opens again.
    """

    id: SessionId
    account_id: AccountId
    secret_hash: bytes
    generation: int
    opened_time: datetime
    expires_time: datetime
    refreshed_by: UUID | None = None  # the request that gave the newest secret
    ended_time: datetime | None = None
    end_reason: EndReason | None = None

    @classmethod
    def open(cls, id: SessionId, account_id: AccountId, secret_hash: bytes, at: datetime) -> "Session":
        """The session of a sign-in."""
        return cls(id, account_id, secret_hash, 1, at, at + IDLE)

    def is_live(self, at: datetime) -> bool:
        """Whether its newest refresh token works."""
        return self.ended_time is None and at < self.expires_time

    def holds(self, secret_hash: bytes) -> bool:
        """Whether this is the hash of the newest secret; takes the same time either way."""
        return hmac.compare_digest(self.secret_hash, secret_hash)

    def was_given(self, following: bytes, request_id: UUID | None) -> bool:
        """Whether this very request gave the newest secret before: its answer was lost, and it came again."""
        return request_id is not None and request_id == self.refreshed_by and self.holds(following)

    def refreshed(self, presented: bytes, following: bytes, at: datetime, request_id: UUID | None = None) -> "Session":
        """With the next secret instead of the presented one. Raises SessionRefused."""
        if not self.is_live(at) or not self.holds(presented):
            raise SessionRefused("this session is over; sign in again")
        expires = min(at + IDLE, self.opened_time + LONGEST)
        return replace(
            self,
            secret_hash=following,
            generation=self.generation + 1,
            expires_time=expires,
            refreshed_by=request_id,
        )

    def ended(self, reason: EndReason, at: datetime) -> "Session":
        """The same, over; a session that is over stays as it ended."""
        if self.ended_time is not None:
            return self
        return replace(self, ended_time=at, end_reason=reason)
