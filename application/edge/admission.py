"""How much is served at once: places for all, limits that follow how late answers come, a fair share per company."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from prometheus_client import Counter, Gauge

from application.edge.operation import Criticality, Operation
from application.edge.refusal import Overloaded, Refusal, TooManyRequests
from chassis.health import WELL_BUT_FULL
from kernel.ids import TenantId

LIMIT = Gauge("muster_http_limit", "Requests of a criticality that are worked on at once at most", ("criticality",))
REFUSED = Counter(
    "muster_http_refused_total", "Requests turned away: why is places, late or tenant", ("criticality", "why")
)

LOWEST_FIRST = (Criticality.DEFERRABLE, Criticality.NORMAL, Criticality.CRITICAL)
LEAST = {Criticality.DEFERRABLE: 4, Criticality.NORMAL: 6, Criticality.CRITICAL: 32}
START_SHARE = {Criticality.DEFERRABLE: 32, Criticality.NORMAL: 4, Criticality.CRITICAL: 1}  # places over this
PATIENCE = {Criticality.DEFERRABLE: 0.8, Criticality.NORMAL: 0.7, Criticality.CRITICAL: 0.4}  # of `late_s`
TIMES_USUAL = 2.0
LATE_SHARE = 0.1
SLOW = 0.6  # of the time after which an answer is late: where answers take longer, no more is let in
FALL, RISE = 0.8, 1.1
LOOK_AFTER_S, LOOK_AT_LEAST, LOOK_ANYHOW_S = 0.1, 10, 0.5
FASTER, SLOWER = 0.5, 0.02  # weight of one answer in what its operation usually takes
CROWDED = 3, 4  # the share of a limit below which nobody is refused
RETRY = {"Retry-After": "1"}
SHED = {**RETRY, WELL_BUT_FULL: "true"}


class Why(Enum):
    """For what a request is turned away."""

    PLACES = "places"
    LATE = "late"
    TENANT = "tenant"

    def refusal(self) -> Refusal:
        """As the client is told."""
        match self:
            case Why.PLACES:
                return Overloaded("too many requests are being served; try again", headers=SHED)
            case Why.LATE:
                return Overloaded("answers would come late now; try again", headers=SHED)
            case Why.TENANT:
                return TooManyRequests("others are being served beside you; try again", headers=RETRY)


@dataclass
class _Class:
    """What is known of one criticality.

    Invariants: `limit` stays between the least and the places; the other counts are those since the last look.
    """

    limit: float
    start: float
    working: int = 0
    by_tenant: dict[TenantId, int] = field(default_factory=dict)
    due: dict[int, float] = field(default_factory=dict)  # when what is worked on will come late
    seen: int = 0
    slow: int = 0
    late: int = 0
    peak: int = 0
    refused: int = 0
    crowded_at: float = 0.0  # when there were last more than the least

    def take(self, tenant: TenantId | None) -> None:
        """One more is worked on."""
        self.working += 1
        if tenant is not None:
            self.by_tenant[tenant] = self.by_tenant.get(tenant, 0) + 1

    def give_back(self, tenant: TenantId | None) -> None:
        """One less."""
        self.working -= 1
        if tenant is not None:
            self.by_tenant[tenant] -= 1
            if not self.by_tenant[tenant]:
                del self.by_tenant[tenant]

    def overdue(self, now: float) -> int:
        """How much of what is worked on is late already."""
        return sum(due < now for due in self.due.values())

    def is_late(self, now: float) -> bool:
        """More than one answer, and more than a tenth of them, came late or will."""
        overdue = self.overdue(now)
        return self.late + overdue > max(1.0, LATE_SHARE * (self.seen + overdue))

    def is_slow(self) -> bool:
        """The same of those that were nearly late."""
        return self.slow > max(1.0, LATE_SHARE * self.seen)

    def crowded(self) -> bool:
        """So many are worked on that somebody may be refused."""
        return self.working >= int(self.limit) * CROWDED[0] // CROWDED[1]

    def forget(self) -> None:
        """Begin to count anew."""
        self.seen = self.slow = self.late = self.refused = 0
        self.peak = self.working


class Admission:
    """How many requests are served at once; the rest is turned away in microseconds.

    Places bound what is there at all, slow bodies included: deferrable operations take at most half of them, critical
    ones a tenth more than there are. What is worked on is bounded by limits that follow the answers. Once more
    than a tenth of those of a criticality come late (after `late_s`, or twice what the operation takes when hardly
    anything is asked), the lowest criticality that still has something to give falls by a fifth, none higher than the
    late one. While answers come well in time, the highest that had to refuse rises by a tenth. So work is refused
    before it queues, and reports give way to punches.

    Within a criticality no company is refused below its fair share, the limit over the companies that are being served.

    Invariants: `late_s` None leaves the places only.
    """

    def __init__(self, places: int, late_s: float | None = None, clock: Callable[[], float] | None = None) -> None:
        """`clock`: seconds, that of the event loop if none is given."""
        self.in_flight = 0
        self._waited_for = 0  # in flight, and somebody waits for the answer now
        self._lull = asyncio.Event()
        self._lull.set()
        self._most = {
            Criticality.CRITICAL: places + max(places // 10, 1),
            Criticality.NORMAL: places,
            Criticality.DEFERRABLE: max(places // 2, 1),
        }
        self._late_s = late_s
        self._clock = clock
        self._usual: dict[str, float] = {}  # seconds that an operation takes when hardly anything is asked
        self._expected: list[tuple[Criticality, TenantId | None]] = []
        self._looked_at = 0.0
        self._numbers = 0
        self._classes = {one: self._class(places, one) for one in LOWEST_FIRST}

    def crowded(self) -> bool:
        """Whether anybody may be refused now: what is asked of every request before anything else."""
        return self.in_flight >= self._most[Criticality.DEFERRABLE] or any(
            one.crowded() for one in self._classes.values()
        )

    def enter(self, criticality: Criticality) -> None:
        """Take a place. Raises Overloaded where there is none left for that kind."""
        if not self._has_place(criticality):
            raise Why.PLACES.refusal()
        self.in_flight += 1
        if criticality is not Criticality.DEFERRABLE:
            self._waited_for += 1
            self._lull.clear()

    def leave(self, criticality: Criticality) -> None:
        """Give the place back."""
        self.in_flight -= 1
        if criticality is not Criticality.DEFERRABLE:
            self._waited_for -= 1
            if not self._waited_for:
                self._lull.set()

    async def lull(self, at_most_s: float) -> None:
        """Wait while requests that are not deferrable are served, at most so long: background work gives way."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._lull.wait()

    def check(self, criticality: Criticality, tenant: TenantId | None) -> None:
        """Raises Overloaded, or TooManyRequests for a company beyond its share, where `working` would now."""
        why = self._too_much(criticality, tenant)
        if why is not None:
            raise why.refusal()

    def why_not(self, operation: Operation, tenant: TenantId | None) -> Why | None:
        """Why a request that begins now would be refused, which is then counted; None: it would not."""
        if not self._has_place(operation.criticality):
            return Why.PLACES
        return None if operation.waits else self._too_much(operation.criticality, tenant)

    def expect(self, operation: Operation, tenant: TenantId | None) -> None:
        """Hold a place for a request that was let in and is about to take it, until `came`."""
        if self._late_s is not None and not operation.waits:
            self._classes[operation.criticality].take(tenant)
            self._expected.append((operation.criticality, tenant))

    def came(self) -> None:
        """Whatever was expected takes its place now."""
        for criticality, tenant in self._expected:
            self._classes[criticality].give_back(tenant)
        self._expected.clear()

    def _has_place(self, criticality: Criticality) -> bool:
        if self.in_flight < self._most[criticality]:
            return True
        REFUSED.labels(criticality.value, Why.PLACES.value).inc()
        return False

    def _too_much(self, criticality: Criticality, tenant: TenantId | None) -> Why | None:
        if self._late_s is None:
            return None
        self._look_if_due(self._now())
        found = self._classes[criticality]
        limit = int(found.limit)
        why = Why.LATE
        if tenant is None:
            if found.working < limit:
                return None
        else:
            mine = found.by_tenant.get(tenant, 0)
            companies = len(found.by_tenant) + (mine == 0)
            if mine < max(limit // companies, 1):
                return None
            if found.working < limit and (companies == 1 or not found.crowded()):
                return None
            if companies > 1:
                why = Why.TENANT
        found.refused += 1
        REFUSED.labels(criticality.value, why.value).inc()
        return why

    @contextmanager
    def working(self, operation: Operation, tenant: TenantId | None) -> Iterator[None]:
        """Work on a request whose body is there. Raises Overloaded, TooManyRequests."""
        if self._late_s is None or operation.waits:
            yield
            return
        self.check(operation.criticality, tenant)
        found = self._classes[operation.criticality]
        found.take(tenant)
        found.peak = max(found.peak, found.working)
        started, good = self._now(), False
        late_after_s = self._late_after_s(operation)
        self._numbers += 1
        number = self._numbers
        found.due[number] = started + late_after_s
        self._note_crowd(found, operation.criticality, started)
        try:
            yield
            good = True
        finally:
            now = self._now()
            self._note_crowd(found, operation.criticality, now)
            del found.due[number]
            found.seen += 1
            found.slow += now - started > SLOW * late_after_s
            found.late += now - started > late_after_s
            if good:
                self._learn(operation, now - started, undisturbed=found.crowded_at < started)
            self._look_if_due(now)
            found.give_back(tenant)

    def limit(self, criticality: Criticality) -> int:
        """How many requests of that kind are worked on at once at most."""
        return int(self._classes[criticality].limit)

    def _class(self, places: int, criticality: Criticality) -> _Class:
        least = LEAST[criticality]
        start = float(max(places // START_SHARE[criticality], least))
        LIMIT.labels(criticality.value).set(start)
        return _Class(start, start)

    def _now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()

    @staticmethod
    def _note_crowd(found: _Class, criticality: Criticality, now: float) -> None:
        if found.working > LEAST[criticality]:
            found.crowded_at = now

    def _late_after_s(self, operation: Operation) -> float:
        assert self._late_s is not None
        usual = self._usual.get(operation.name, 0.0)
        return max(PATIENCE[operation.criticality] * self._late_s, TIMES_USUAL * usual)

    def _learn(self, operation: Operation, seconds: float, *, undisturbed: bool) -> None:
        """What the operation takes when hardly anything is asked: no more than any answer took."""
        usual = self._usual.get(operation.name)
        if usual is None:
            self._usual[operation.name] = seconds
        elif undisturbed or seconds < usual:
            self._usual[operation.name] = usual + (FASTER if seconds < usual else SLOWER) * (seconds - usual)

    def _look_if_due(self, now: float) -> None:
        since = now - self._looked_at
        if since < LOOK_AFTER_S:
            return
        if since < LOOK_ANYHOW_S:
            known = sum(one.seen + one.overdue(now) for one in self._classes.values())
            if known < LOOK_AT_LEAST:
                return
        self._look(now)

    def _look(self, now: float) -> None:
        """Set the limits by what was seen since the last look."""
        late = [index for index, one in enumerate(LOWEST_FIRST) if self._classes[one].is_late(now)]
        if late:
            self._shed(LOWEST_FIRST[: late[-1] + 1])
        else:
            self._grow()
        for criticality, found in self._classes.items():
            LIMIT.labels(criticality.value).set(int(found.limit))
            found.forget()
        self._looked_at = now

    def _shed(self, lowest_first: tuple[Criticality, ...]) -> None:
        for one in lowest_first:
            found = self._classes[one]
            if found.peak and min(found.limit, found.peak) > LEAST[one]:
                found.limit = max(min(found.limit, found.peak) * FALL, LEAST[one])
                return

    def _grow(self) -> None:
        room = True
        for one in reversed(LOWEST_FIRST):
            found = self._classes[one]
            room = room and not found.is_slow()
            if found.refused and room:
                found.limit = min(found.limit * RISE + 1, self._most[one])
                return
        for found in self._classes.values():
            if found.limit < found.start:
                found.limit = min(found.limit + room, found.start)
            elif found.peak < found.limit / 2:  # what was not needed would let a flood in
                found.limit = max(found.limit * FALL, found.start)
