"""What happened in the last ten seconds, and what may be done beyond it."""

from collections import deque

SECONDS = 10


class Recent:
    """Two counts over the last ten seconds, by whole seconds.

    Invariants: `now` is a reading of one clock and never goes back.
    """

    def __init__(self) -> None:
        self.first = 0
        self.second = 0
        self._slots: deque[list[int]] = deque([[0, 0] for _ in range(SECONDS)], maxlen=SECONDS)
        self._at = 0

    def add(self, now: float, first: int, second: int) -> None:
        """Count something that happened now."""
        self.turn(now)
        slot = self._slots[-1]
        slot[0] += first
        slot[1] += second
        self.first += first
        self.second += second

    def turn(self, now: float) -> None:
        """Forget what is older than ten seconds."""
        at = int(now)
        for _ in range(min(at - self._at, SECONDS)):
            gone = self._slots[0]
            self.first -= gone[0]
            self.second -= gone[1]
            self._slots.append([0, 0])
        self._at = at

    def clear(self) -> None:
        """Forget all."""
        for slot in self._slots:
            slot[0] = slot[1] = 0
        self.first = self.second = 0


class Extra:
    """What may be done beyond what was asked for: retries, second copies.

    Invariants: in any ten seconds no more than `share` of what was asked, or `least` where that is more.
    """

    def __init__(self, share: float, least: int) -> None:
        self._share = share
        self._least = least
        self._recent = Recent()

    def asked(self, now: float) -> None:
        """Count what was asked for."""
        self._recent.add(now, 1, 0)

    def take(self, now: float) -> bool:
        """Whether one more may be done; it is counted then."""
        self._recent.turn(now)
        if self._recent.second + 1 > max(self._share * self._recent.first, self._least):
            return False
        self._recent.add(now, 0, 1)
        return True
