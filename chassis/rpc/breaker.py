"""The last line before a data service that is gone: calls fail at once instead of waiting for it one by one."""

import random
from enum import Enum

import structlog

from chassis.rpc.error_map import RemoteError, Trouble
from chassis.rpc.recent import Recent
from chassis.telemetry import BREAKER_OPEN, BREAKER_OPENED, CALLS_REFUSED

log = structlog.get_logger(__name__)

LEAST_FAILED = 10
SHARE_FAILED = 0.8
SILENT_S = 1.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 1.0


class Verdict(Enum):
    """What a call says of the service."""

    ANSWERED = "ANSWERED"  # by whatever answer: a refusal comes from a service that is well
    FAILED = "FAILED"
    NONE = "NONE"  # the caller gave up, or the call was never sent


class Breaker:
    """Open, it lets no call through but one probe at a time, for ever, at pauses from 0.1 to 1 s.

    It opens when at least ten calls, and four of five, failed within ten seconds and the service has answered nothing
    for a second: replicas that go on answering keep it shut, however many others are gone.

    Invariants: one probe at a time; one without a verdict makes room for the next, and so does one that is not answered
    for a second, as a reader's that waits for news.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._recent = Recent()  # calls with a verdict, and those of them that failed
        self._heard_at = 0.0
        self._pause_s = 0.0  # 0: shut
        self._probe_at = 0.0
        self._open = BREAKER_OPEN.labels(service)

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once."""
        return self._pause_s > 0

    def enter(self, now: float) -> bool:
        """Let a call through; True for a probe. Raises RemoteError (UNAVAILABLE) at once while open."""
        if not self._pause_s:
            return False
        if now < self._probe_at:
            CALLS_REFUSED.labels(self._service, "breaker").inc()
            raise RemoteError.of(Trouble.UNAVAILABLE)
        self._probe_at = now + LONGEST_PAUSE_S
        return True

    def ended(self, now: float, verdict: Verdict, probe: bool) -> None:
        """What became of a call that was let through."""
        if verdict is Verdict.ANSWERED:
            self._heard_at = now
            self._recent.add(now, 1, 0)
            if self._pause_s:
                self._shut()
        elif verdict is Verdict.FAILED:
            self._recent.add(now, 1, 1)
            if self._pause_s:
                if probe:
                    self._wait(now, min(self._pause_s * 2, LONGEST_PAUSE_S))
            elif self._is_gone(now):
                log.warning("service gone: calls fail at once", service=self._service)
                BREAKER_OPENED.labels(self._service).inc()
                self._open.set(1)
                self._wait(now, FIRST_PAUSE_S)
        elif probe:
            self._probe_at = now

    def _is_gone(self, now: float) -> bool:
        recent = self._recent
        return (
            recent.second >= LEAST_FAILED
            and recent.second >= SHARE_FAILED * recent.first
            and now - self._heard_at >= SILENT_S
        )

    def _wait(self, now: float, pause_s: float) -> None:
        self._pause_s = pause_s
        self._probe_at = now + pause_s * random.uniform(0.8, 1.0)  # processes do not probe in step

    def _shut(self) -> None:
        log.info("service answers again", service=self._service)
        self._pause_s = 0.0
        self._recent.clear()
        self._open.set(0)
