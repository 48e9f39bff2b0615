"""A register is whole or visibly broken off: the row TOTAL comes only where everything adds up."""

import csv
import io
from typing import Any
from uuid import UUID, uuid4

import pytest
from muster.organization.v1 import employee_pb2
from muster.payroll.v1 import payroll_run_pb2 as wire
from muster.type.v1.money_pb2 import Money

from application.edge.table import TableBroken
from application.pay.register import NotCalculated, Register
from chassis.principal import Principal
from kernel.ids import TenantId

RUN = UUID(int=9)


class Answers:
    """A data service that gives these answers, one after the other."""

    client: "Answers"

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.client = self
        self.asked: list[Any] = []

    def stub(self, kind: Any) -> Any:
        """Any method by name."""
        return self

    def __getattr__(self, name: str) -> str:
        return name

    async def read_as(self, principal: Principal, method: Any, request: Any, *, timeout_s: float) -> Any:
        """The next answer; the last one again and again."""
        self.asked.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def money(minor: int) -> Money:
    """Yuan."""
    return Money(currency="CNY", minor_units=minor)


def a_page(*nets: int, following: str = "", of: int = 2, **run: Any) -> wire.ListRegisterRowsResponse:
    """Payslips of 100.00 gross each, in a run of `of` such."""
    made: dict[str, Any] = {
        "run_id": str(RUN),
        "pay_group": "CN-MONTHLY",
        "period": "2026-11",
        "status": wire.RUN_STATUS_CALCULATED,
        "currency": "CNY",
        "calculation_hash": "a",
        "progress": wire.RunProgress(done=of),
        "totals": wire.RunTotals(gross=money(10000 * of), net=money(8000 * of), employer_cost=money(13000 * of)),
        **run,
    }
    return wire.ListRegisterRowsResponse(
        run=wire.PayrollRun(**made),
        columns=[wire.RegisterColumn(code="BASE", total_minor=10000 * of)],
        rows=[
            wire.RegisterRow(
                employee_id=str(uuid4()),
                amounts_minor=[10000],
                gross_minor=10000,
                deductions_minor=10000 - net,
                net_minor=net,
                employer_cost_minor=13000,
            )
            for net in nets
        ],
        next_page_token=following,
    )


async def register(*pages: wire.ListRegisterRowsResponse) -> tuple[str, Exception | None]:
    """What is sent, and what it is broken off with."""
    caller = Principal(TenantId(uuid4()), "ann", frozenset({"payroll_admin"}))
    people: Any = Answers(employee_pb2.BatchGetEmployeesResponse())
    payroll: Any = Answers(*pages)
    answer = await Register(payroll, people, caller, None).of(RUN, bom=False)
    sent = ""
    try:
        async for part in answer.body_iterator:
            assert isinstance(part, str)
            sent += part
    except TableBroken as broken:
        return sent, broken
    return sent, None


async def test_a_register_of_two_pages_ends_with_the_control_totals() -> None:
    sent, broken = await register(a_page(8000, following="more"), a_page(8000))

    rows = list(csv.DictReader(io.StringIO(sent)))
    assert broken is None
    assert [row["net"] for row in rows] == ["80.00", "80.00", "160.00"]
    assert (rows[-1]["employee_number"], rows[-1]["payslip_id"], rows[-1]["BASE"]) == ("TOTAL", "2", "200.00")


@pytest.mark.parametrize(
    "second",
    [a_page(8000, calculation_hash="b"), a_page(7999), a_page(8000, 8000), a_page()],
    ids=["calculated anew", "another net", "one row too many", "one row too few"],
)
async def test_a_register_that_does_not_add_up_is_broken_off(second: wire.ListRegisterRowsResponse) -> None:
    sent, broken = await register(a_page(8000, following="more"), second)

    assert isinstance(broken, TableBroken)
    assert "TOTAL" not in sent


async def test_a_run_that_is_not_calculated_has_no_register() -> None:
    with pytest.raises(NotCalculated):
        await register(a_page(status=wire.RUN_STATUS_CALCULATING))
