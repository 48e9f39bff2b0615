"""The names that pay formulas may use: what each one means and where its value comes from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from contexts.payroll.domain.formula import Formula, parse

DAY_KINDS = ("WORKDAY", "REST_DAY", "HOLIDAY")


class Origin(Enum):
    """Where the value of a name comes from."""

    SEGMENT = "SEGMENT"  # facts of one segment; outside a segment those of the last employed day, or the period's sum
    PERIOD = "PERIOD"  # one value for the payslip
    TABLE = "TABLE"  # a row of a statutory table
    LINE = "LINE"  # the amount of another component, or a sum of them
    DERIVED = "DERIVED"  # computed from the above by a formula of its own


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name stands for. `path` is its place in the frozen inputs, for people and traces."""

    name: str
    origin: Origin
    path: str
    formula: Formula | None = None  # of a DERIVED name


_SEGMENT = {
    "monthly_wage": "facts.segments[].amount (per facts.segments[].unit, brought to a month)",
    "fte": "facts.segments[].fte",
    "segment_days": "facts.segments[].from and to, cut to the period: calendar days",
    "segment_working_days": "facts.segments[].planned inside the segment",
    "period_working_days": "facts.segments[].planned of the whole period",
    "employed_working_days": "facts.segments[].planned inside all segments of the assignment",
    "unemployed_days": "facts.segments[].planned of the period outside the employment",
    "unpaid_minutes": "facts.time[].days weighted by what facts.time[].paid_share leaves unpaid",
    "standard_day_minutes": "facts.segments[].day_minutes",
}
_PERIOD = {
    "period_days": "header.start and end: calendar days",
    "employed_days": "facts.segments[].from and to, cut to the period: calendar days in all",
    "input_amount": "inputs[].amount of this component",
    "input_quantity": "inputs[].quantity of this component",
}
_DERIVED = {
    "daily_wage": "monthly_wage / paid_days_per_month",
    "hourly_wage": "monthly_wage / (paid_days_per_month * hours_per_day)",
    "unpaid_days": "unpaid_minutes / standard_day_minutes",
    "unpaid_hours": "unpaid_minutes / 60",
}
# Sums of lines that a formula may read; the graph makes them wait for their lines.
LINE_SUMS = {
    "gross": "lines: the sum of all earnings",
    "taxable_wage": "lines: the sum of the earnings that are taxed as wage",
}
_TIME = re.compile(r"(minutes|hours)_([A-Z][A-Z0-9_]*?)(?:_on_(WORKDAY|REST_DAY|HOLIDAY))?")
_ALLOWANCE = re.compile(r"allowance_([A-Za-z0-9][A-Za-z0-9_]*)")
_STATUTORY = re.compile(r"statutory_([a-z][a-z0-9_]*)")
_PRIOR = re.compile(r"prior_([a-z][a-z0-9_]*)")


@lru_cache(maxsize=1024)
def _derived(text: str) -> Formula:
    return parse(text)


def meaning(name: str, tables: Mapping[str, str]) -> Meaning | None:
    """What `name` means, None where it means nothing. `tables` are the names that the country's tables give."""
    if name in _SEGMENT:
        return Meaning(name, Origin.SEGMENT, _SEGMENT[name])
    if name in _PERIOD:
        return Meaning(name, Origin.PERIOD, _PERIOD[name])
    if name in tables:
        return Meaning(name, Origin.TABLE, tables[name])
    if name in LINE_SUMS:
        return Meaning(name, Origin.LINE, LINE_SUMS[name])
    if name in _DERIVED:
        return Meaning(name, Origin.DERIVED, "", _derived(_DERIVED[name]))
    if match := _TIME.fullmatch(name):
        unit, code, kind = match.groups()
        if unit == "hours":
            return Meaning(name, Origin.DERIVED, "", _derived(f"minutes{name.removeprefix('hours')} / 60"))
        where = f" on {kind}" if kind else ""
        return Meaning(name, Origin.SEGMENT, f"facts.time[] of pay code {code}{where}: minutes")
    if match := _ALLOWANCE.fullmatch(name):
        return Meaning(name, Origin.SEGMENT, f"facts.segments[].allowances.{match[1]}")
    if match := _STATUTORY.fullmatch(name):
        return Meaning(name, Origin.PERIOD, f"facts.statutory.values.{match[1]}")
    if match := _PRIOR.fullmatch(name):
        return Meaning(name, Origin.PERIOD, f"prior.totals or prior.statutory: {match[1]}")
    return None


def time_key(name: str) -> tuple[str, str]:
    """The pay code and day kind ("" for any) of a `minutes_` name."""
    match = _TIME.fullmatch(name)
    if match is None or match[1] != "minutes":
        raise ValueError(f"{name} is no name of minutes")
    return match[2], match[3] or ""


def allowance_code(name: str) -> str:
    """The allowance that an `allowance_` name reads."""
    return name.removeprefix("allowance_")


def known_names(tables: Mapping[str, str]) -> tuple[str, ...]:
    """The fixed names, for suggestions in errors."""
    return (*_SEGMENT, *_PERIOD, *_DERIVED, *LINE_SUMS, *tables)
