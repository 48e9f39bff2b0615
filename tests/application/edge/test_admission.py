"""How limits follow how late answers come, whose share is whose, and what is no sign of too much."""

from contextlib import ExitStack
from uuid import UUID

import pytest

from application.edge.admission import LEAST, Admission
from application.edge.operation import Criticality, Operation
from application.edge.refusal import Overloaded, Refusal, TooManyRequests
from kernel.ids import TenantId

A, B = TenantId(UUID(int=1)), TenantId(UUID(int=2))
REPORT = Operation("a.report", None, Criticality.DEFERRABLE)
READ = Operation("a.read", None, Criticality.NORMAL)
PUNCH = Operation("a.punch", None, Criticality.CRITICAL)


class Edge:
    """An admission whose answers take as long as they are told."""

    def __init__(self, places: int = 64) -> None:
        self.now = 1000.0
        self.admission = Admission(places, 0.25, clock=lambda: self.now)

    def answer(self, operation: Operation, at_once: int, seconds: float, rounds: int = 1) -> int:
        """Rounds of so many requests at once, each answered after so long; how many were refused."""
        refused = 0
        for _ in range(rounds):
            with ExitStack() as stack:
                for _ in range(at_once):
                    try:
                        stack.enter_context(self.admission.working(operation, A))
                    except Overloaded:
                        refused += 1
                self.now += seconds
        return refused

    def limits(self) -> dict[Criticality, int]:
        return {one: self.admission.limit(one) for one in Criticality}


def test_late_answers_lower_the_limit_and_answers_in_time_raise_it_again() -> None:
    edge = Edge()
    edge.answer(READ, 1, 0.01)

    edge.answer(READ, 100, 1.0, rounds=8)
    lowest = edge.admission.limit(Criticality.NORMAL)
    edge.answer(READ, 30, 0.05, rounds=60)

    assert lowest == LEAST[Criticality.NORMAL]
    assert edge.admission.limit(Criticality.NORMAL) >= 30


def test_while_answers_are_nearly_late_no_more_is_let_in() -> None:
    edge = Edge(320)
    edge.answer(REPORT, 1, 0.01)
    edge.answer(REPORT, 8, 0.15)
    before = edge.admission.limit(Criticality.DEFERRABLE)

    refused = edge.answer(REPORT, 30, 0.15, rounds=30)
    nearly_late = edge.admission.limit(Criticality.DEFERRABLE)
    edge.answer(REPORT, 30, 0.1, rounds=30)

    assert refused > 0
    assert nearly_late == before
    assert edge.admission.limit(Criticality.DEFERRABLE) > before


def test_reports_that_are_nearly_late_keep_no_punch_out() -> None:
    edge = Edge()
    for operation in (REPORT, PUNCH):
        edge.answer(operation, 1, 0.01)
    before = edge.admission.limit(Criticality.CRITICAL)

    for _ in range(30):
        edge.answer(REPORT, 4, 0.2)
        edge.answer(PUNCH, before + 30, 0.01)

    assert edge.admission.limit(Criticality.CRITICAL) > before


def test_reports_give_way_before_punches_do() -> None:
    edge = Edge(320)
    for operation in (REPORT, PUNCH):
        edge.answer(operation, 1, 0.01)
    before, rounds = edge.admission.limit(Criticality.CRITICAL), 0
    while edge.admission.limit(Criticality.DEFERRABLE) > LEAST[Criticality.DEFERRABLE] and rounds < 100:
        with ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(edge.admission.working(PUNCH, A))
            edge.answer(REPORT, 10, 0.2)
        rounds += 1

    assert rounds < 20
    assert edge.admission.limit(Criticality.CRITICAL) == before


def test_late_reports_take_nothing_from_what_is_more_important() -> None:
    edge = Edge()
    edge.answer(REPORT, 1, 0.01)
    before = edge.limits()

    for _ in range(50):
        with edge.admission.working(PUNCH, A):
            pass
        edge.answer(REPORT, 20, 2.0)

    assert edge.limits()[Criticality.NORMAL] == before[Criticality.NORMAL]
    assert edge.limits()[Criticality.CRITICAL] == before[Criticality.CRITICAL]


def test_what_takes_long_by_itself_is_not_late() -> None:
    edge = Edge()
    edge.answer(REPORT, 1, 3.0, rounds=5)
    before = edge.limits()

    edge.answer(REPORT, 4, 4.0, rounds=30)

    assert edge.limits() == before


def test_what_waits_for_something_to_happen_is_no_sign_and_takes_no_place() -> None:
    edge = Edge()
    waiting = Operation("a.wait", None, Criticality.DEFERRABLE, waits=True)
    before = edge.limits()

    refused = edge.answer(waiting, 50, 20.0, rounds=10)

    assert refused == 0
    assert edge.limits() == before


def test_a_limit_that_is_not_needed_goes_back_to_where_it_began() -> None:
    edge = Edge()
    edge.answer(REPORT, 30, 0.05, rounds=60)
    high = edge.admission.limit(Criticality.DEFERRABLE)

    edge.answer(REPORT, 1, 0.2, rounds=100)

    assert high >= 30
    assert edge.admission.limit(Criticality.DEFERRABLE) == LEAST[Criticality.DEFERRABLE]


def asked(admission: Admission, stack: ExitStack, tenant: TenantId) -> type[Refusal] | None:
    try:
        stack.enter_context(admission.working(READ, tenant))
    except Refusal as refusal:
        return type(refusal)
    return None


def test_a_company_alone_takes_all_and_makes_room_for_another() -> None:
    admission = Edge().admission
    limit = admission.limit(Criticality.NORMAL)
    with ExitStack() as stack:
        alone = [asked(admission, stack, A) for _ in range(limit + 1)]
        other = [asked(admission, stack, B) for _ in range(limit // 2 + 1)]
        again = asked(admission, stack, A)

    assert alone == [None] * limit + [Overloaded]
    assert other == [None] * (limit // 2) + [TooManyRequests]
    assert again is TooManyRequests


def test_without_a_time_only_the_places_count() -> None:
    admission = Admission(4)
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(admission.working(READ, A))
        for _ in range(4):
            admission.enter(Criticality.NORMAL)
        with pytest.raises(Overloaded):
            admission.enter(Criticality.NORMAL)
