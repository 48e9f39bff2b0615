"""One payslip computed with its traces, from frozen facts to its stored lines, in one process."""

import decimal
import time
from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any
from uuid import UUID

import orjson

from benchmarks.figure import ROUNDS, Figure, at_most
from contexts.payroll.domain.arithmetic import ARITHMETIC
from contexts.payroll.domain.countries import statutory_of
from contexts.payroll.domain.engine import Plan
from contexts.payroll.domain.header import Header
from contexts.payroll.domain.standard_components import standard_components

MOST_US = 30.0
LINES = 15
START, END = date(2026, 11, 1), date(2026, 12, 1)
EPOCH = date(1970, 1, 1)


async def payslips(*, small: bool = False) -> AsyncIterator[Figure]:
    """Microseconds for a payslip of 15 lines and more; each employee has another wage, base, city and overtime."""
    header, plan, documents = a_month(200 if small else 2000)
    with decimal.localcontext(ARITHMETIC):
        lines = [len(orjson.loads(plan.compute(header, one)[1].lines)) for one in documents]
        rounds = [_seconds(plan, header, documents) for _ in range(ROUNDS)]
    mean = sum(lines) / len(lines)
    if mean < LINES:
        raise AssertionError(f"these payslips have {mean:.1f} lines, {LINES} are promised")
    name = f"one payslip with its traces ({mean:.1f} lines)"
    yield at_most(name, median(rounds) / len(documents) * 1e6, "us", most=MOST_US)


def _seconds(plan: Plan, header: Header, documents: Sequence[dict[str, Any]]) -> float:
    started = time.perf_counter()
    for document in documents:
        plan.compute_inside(header, document)
    return time.perf_counter() - started


def a_month(employees: int) -> tuple[Header, Plan, list[dict[str, Any]]]:
    """The standard components of China and the frozen facts of that many different people in November."""
    statutory = statutory_of("CN")
    assert statutory is not None
    plan = Plan(standard_components("CN", date(2026, 1, 1)), "CNY", statutory)
    header = Header(
        pay_group="CN-MONTHLY",
        period="2026-11",
        kind="REGULAR",
        sequence=0,
        start=START,
        end=END,
        pay_date=date(2026, 12, 5),
        tax_year=2026,
        tax_period=12,
        registration="SHANGHAI",
        currency="CNY",
        country="CN",
        catalog_version=1,
        statutory_version=statutory.version,
        inputs_only=False,
    )
    return header, plan, [_facts(number) for number in range(employees)]


def _facts(number: int) -> dict[str, Any]:
    days = [START + timedelta(days=offset) for offset in range((END - START).days)]
    planned = "".join("1" if day.weekday() < 5 else "0" for day in days)
    assignment = str(UUID(int=number, version=4))
    base = 7384 + number * 3 % 27000
    time_lines = [
        {
            "assignment": assignment,
            "day_kind": "WORKDAY",
            "days": [[(START - EPOCH).days + 2 + number % 3 + step * 7, 30 + number % 90] for step in range(3)],
            "paid_share": "1",
            "pay_code": "OVERTIME",
        },
        {
            "assignment": assignment,
            "day_kind": "REST_DAY",
            "days": [[(START - EPOCH).days + 6, 60 + number % 200]],
            "paid_share": "1",
            "pay_code": "OVERTIME",
        },
    ]
    facts = {
        "employee": str(UUID(int=number + 2**64, version=4)),
        "hired": "2024-03-01",
        "left": None,
        "segments": [
            {
                "allowances": {"MEAL": str(300 + number % 40), "TRANSPORT": str(200 + number % 60)},
                "amount": str(8000 + number * 7 % 40000),
                "assignment": assignment,
                "day_minutes": 480,
                "department": "OPS",
                "from": START.isoformat(),
                "fte": "1",
                "planned": planned,
                "to": END.isoformat(),
                "unit": "MONTH",
            }
        ],
        "sources": [f"timesheet:{assignment}:3"],
        "statutory": {
            "country": "CN",
            "values": {
                "housing_fund_base": str(base + 17),
                "housing_fund_rate": ("0.05", "0.06", "0.07")[number % 3],
                "injury_rate": "0.002",
                "social_insurance_base": str(base),
                "social_insurance_city": ("SHANGHAI", "KUNMING")[number % 2],
                "special_additional_deduction": str(number % 5 * 1000),
            },
        },
        "time": time_lines,
    }
    return {"facts": facts, "inputs": [], "prior": None}
