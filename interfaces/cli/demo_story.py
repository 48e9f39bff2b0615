"""What the demo shows of a paid month: the register, one payslip explained, and what became of the awkward cases."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from interfaces.cli.company_files import Company

INSURANCES = ("PENSION_EMPLOYEE", "MEDICAL_EMPLOYEE", "UNEMPLOYMENT_EMPLOYEE")
FUND = ("HOUSING_FUND_EMPLOYEE", "HOUSING_FUND_SUPPLEMENTARY_EMPLOYEE")
DAY_WORDS = {"WORKDAY": "a workday", "REST_DAY": "a rest day", "HOLIDAY": "a statutory holiday"}
DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FACTORS = {"WORKDAY": "1.5", "REST_DAY": "2", "HOLIDAY": "3"}  # as the trace names them; shown in words only
NARROW: Any = {"pad_edge": False, "collapse_padding": True}  # 100 columns are all there is
FRIDAY = 4  # its night ends on a rest day
MAX_CASES = 40

_WORD = re.compile(r"[a-z_][A-Za-z0-9_]*(?!\()\b")
_GUARD = re.compile(r"if\((\w+) == 0, ([^,()]*), ([^,()]*)\)")


@dataclass(frozen=True, slots=True)
class Books:
    """A paid month as the API answers it, and the files that it began with."""

    run: Any
    period: str
    employees: Mapping[str, Any]
    payslips: list[Any]
    timesheets: Mapping[str, Any]
    company: Company
    wage_traces: Mapping[str, Any]  # by payslip, of those whose wage is not that of a whole month

    @staticmethod
    def amount(money: Any) -> Decimal:
        """Money of the API in major units."""
        return Decimal(money["amount"])

    def person(self, payslip: Any) -> str:
        """Number and name."""
        employee = self.employees[payslip["employee_id"]]
        return f"{employee['employee_number']} {employee['person']['legal_name']}"

    def of(self, number: str) -> Any | None:
        """The payslip of an employee number."""
        for payslip in self.payslips:
            if self.employees[payslip["employee_id"]]["employee_number"] == number:
                return payslip
        return None

    def wage_parts(self, payslip: Any) -> list[dict[str, str]]:
        """The pieces of a wage that is not that of a whole month: each one's inputs by name."""
        parts: dict[int, dict[str, str]] = {}
        for step in self.wage_traces.get(payslip["id"], {"steps": ()})["steps"]:
            if step["segment"]:
                parts.setdefault(step["segment"], {})[step["name"]] = step["value"]
        return [parts[segment] for segment in sorted(parts)]


# ---- the register ---------------------------------------------------------------------------------------------------


def print_register(console: Console, books: Books) -> None:
    """Every payslip in one line, and the sums."""
    table = Table(box=SIMPLE_HEAD, show_footer=True, header_style="bold", footer_style="bold", **NARROW)
    rows = [_register_row(books, payslip) for payslip in books.payslips]
    sums = [sum((row[place] for row in rows), Decimal()) for place in range(6)]
    table.add_column("no.", "", no_wrap=True)
    table.add_column("name", "total", no_wrap=True, max_width=16)
    for title, total in zip(
        ("gross", "social ins.", "housing fund", "income tax", "net", "employer cost"), sums, strict=True
    ):
        table.add_column(title, f"{total:,.2f}", justify="right", no_wrap=True)
    for payslip, row in zip(books.payslips, rows, strict=True):
        employee = books.employees[payslip["employee_id"]]
        table.add_row(
            Text(employee["employee_number"]), Text(employee["person"]["legal_name"]), *(f"{each:,.2f}" for each in row)
        )
    run = books.run
    heading = f"\nPayslip register {run['period']}, {run['pay_group']}, paid on {run['pay_date']}, {run['currency']}"
    console.print(heading, style="bold")
    console.print(table)
    console.print(f"The run's totals, kept by payroll: gross {books.amount(run['totals']['gross']):,.2f}, net "
                  f"{books.amount(run['totals']['net']):,.2f}, employer cost "
                  f"{books.amount(run['totals']['employer_cost']):,.2f}: the same.")  # fmt: skip


def _register_row(books: Books, payslip: Any) -> tuple[Decimal, ...]:
    lines = {line["code"]: books.amount(line["amount"]) for line in payslip["lines"]}
    taxes = sum((books.amount(line["amount"]) for line in payslip["lines"] if line["kind"] == "TAX"), Decimal())
    return (
        books.amount(payslip["gross"]),
        sum((lines.get(code, Decimal()) for code in INSURANCES), Decimal()),
        sum((lines.get(code, Decimal()) for code in FUND), Decimal()),
        taxes,
        books.amount(payslip["net"]),
        books.amount(payslip["employer_cost"]),
    )


# ---- one payslip, line by line --------------------------------------------------------------------------------------


def the_awkward_one(books: Books) -> Any:
    """The payslip that has most to explain: that of a raise inside the month, else the one with most lines."""
    for row in books.company.of("compensation_changes"):
        if row["effective_date"][:7] == books.period and not row["effective_date"].endswith("-01"):
            found = books.of(row["employee_number"])
            if found is not None:
                return found
    return max(books.payslips, key=lambda payslip: len(payslip["lines"]))


def print_explained(
    console: Console, books: Books, payslip: Any, traces: Mapping[str, Any], replay: Mapping[str, Any]
) -> None:
    """Every line with what it was made of: quantity, rate, base, each step in numbers, and the law."""
    console.print(f"\nThe payslip of {books.person(payslip)}, line by line", style="bold")
    table = Table(box=SIMPLE_HEAD, header_style="bold", **NARROW)
    table.add_column("line", width=84)
    table.add_column(payslip["currency"], justify="right", no_wrap=True, width=12)
    for line in payslip["lines"]:
        sign = -1 if line["kind"] in ("DEDUCTION", "TAX") else 1
        heading = Text.assemble((line["name"], "bold"), f"   {_product(line)}" if _product(line) else "")
        table.add_row(heading, f"{sign * books.amount(line['amount']):,.2f}")
        for text in _explained(traces[line["code"]]):
            table.add_row(Padding(Text(text, style="dim"), (0, 0, 0, 2)), "")
    for name, title in (("gross", "Gross"), ("net", "Net, to the bank"), ("employer_cost", "Cost to the employer")):
        table.add_row(Text(title, style="bold"), Text(f"{books.amount(payslip[name]):,.2f}", style="bold"))
    console.print(table)
    versions = payslip["versions"]
    console.print(
        f"Calculated with catalog {versions['catalog']}, statutory tables {versions['statutory']}, engine "
        f"{versions['engine']}; calculated anew from its frozen inputs just now: the same bytes, "
        f"{replay['stored_hash'][:12]}."
    )


def _product(line: Any) -> str:
    if line["quantity"] and line["rate"]:
        return f"{_plain(line['quantity'])} x {_plain(line['rate'])}"
    if line["base"] and line["rate"]:
        return f"{_plain(line['base'])} x {_plain(line['rate'])}"
    return ""


def _plain(text: str) -> str:
    """A decimal string for people: thousands apart, no more digits than there are."""
    try:
        number = Decimal(text)
    except ArithmeticError:
        return text
    return f"{number.normalize():,f}"


def _explained(trace: Any) -> Iterator[str]:
    steps = trace["steps"]
    values: dict[tuple[int, str], str] = {(step["segment"], step["name"]): step["value"] for step in steps}
    tables: list[str] = []
    for step in steps:
        if step["source"] == "TABLE" and step["origin"]:
            row = step["origin"].rpartition(" ")[0] or step["origin"]
            tables.extend([row] if row not in tables else [])
        if step["expression"] and not step["expression"].startswith("round(sum"):
            yield _in_numbers(step, values)
    _, _, law = trace["formula"].partition(": ")
    if law:
        yield f"by: {law}" + (f"; rows {', '.join(tables)}" if tables else "")


def _in_numbers(step: Any, values: Mapping[tuple[int, str], str]) -> str:
    def value(name: str) -> str:
        return values.get((step["segment"], name)) or values.get((0, name)) or name

    expression = step["expression"]
    guard = _GUARD.fullmatch(expression)
    if guard:
        expression = guard[2] if value(guard[1]) == "0" else guard[3]
    numbers = _WORD.sub(lambda match: value(match[0]), expression)
    piece = f"part {step['segment']}: " if step["segment"] else ""
    return f"{piece}{step['name']} = {expression} = {numbers} = {step['value']}"


# ---- the awkward cases ----------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """Something out of the ordinary: what happened, what the system did, and the number."""

    title: str
    happened: str
    did: str
    number: str


def print_story(console: Console, books: Books) -> None:
    """What became of everything out of the ordinary in the month."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", **NARROW)
    table.add_column("case", width=16)
    table.add_column("what happened", width=33)
    table.add_column("what the system did", width=32)
    table.add_column(books.run["currency"], justify="right", no_wrap=True, width=12)
    for number, case in enumerate(_cases(books)):
        if number == MAX_CASES:
            break
        table.add_row(Text(case.title, style="bold"), Text(case.happened), Text(case.did), case.number)
    console.print("\nThe awkward cases of the month", style="bold")
    console.print(table)


def _cases(books: Books) -> Iterator[Case]:
    for payslip in books.payslips:
        yield from _late(books, payslip)
    yield from _night(books)
    yield from _made_up_days(books)
    for payslip in books.payslips:
        yield from _overtime(books, payslip)
    for payslip in books.payslips:
        yield from _unpaid(books, payslip)
    yield from _raises(books)
    yield from _joiners(books)
    yield from _leavers(books)
    for payslip in books.payslips:
        yield from _bonus(books, payslip)


def _late(books: Books, payslip: Any) -> Iterator[Case]:
    for day in books.timesheets[payslip["employee_id"]]["occurrences"]:
        if day["late_minutes"]:
            base = _line(payslip, "BASE")
            yield Case(
                "late punch",
                f"{books.person(payslip)} came at {_clock(day['punches'][0]['punched_at'])} on "
                f"{_day(day['work_date'])}, planned {_clock(day['planned'][0]['start'])}",
                f"{day['late_minutes']} minutes late on the timesheet; no component docks them: the wage is whole",
                f"{books.amount(base['amount']):,.2f}" if base else "",
            )


def _night(books: Books) -> Iterator[Case]:
    """One night over midnight into another kind of day, or else any night; then what nights are paid."""
    nights = [
        (payslip, day)
        for payslip in books.payslips
        for day in books.timesheets[payslip["employee_id"]]["occurrences"]
        if day["night_minutes"] and len(day["punches"]) > 1
    ]
    if not nights:
        return
    fridays = [night for night in nights if date.fromisoformat(night[1]["work_date"]).weekday() == FRIDAY]
    payslip, day = max(fridays or nights, key=lambda night: str(night[1]["work_date"]))
    punches = day["punches"]
    line = next((line for line in payslip["lines"] if line["code"].startswith("NIGHT")), None)
    paid = f"; the month's {line['quantity']} h x {line['rate']} by a component of its own" if line else ""
    yield Case(
        "night shift",
        f"{books.person(payslip)} worked {_day(day['work_date'])} {_clock(punches[0]['punched_at'])} to "
        f"{_day(_local(punches[-1]['punched_at']).date().isoformat())} {_clock(punches[-1]['punched_at'])}",
        f"one work day, {_day(day['work_date'])}: {day['worked_minutes']} minutes, {day['night_minutes']} of them "
        f"at night, none overtime{paid}",
        f"{books.amount(line['amount']):,.2f}" if line else "",
    )


def _overtime(books: Books, payslip: Any) -> Iterator[Case]:
    for kind, words in DAY_WORDS.items():
        line = _line(payslip, f"OVERTIME_{kind}")
        if line is None:
            continue
        field = f"overtime_{kind.lower()}_minutes"
        days = [day for day in books.timesheets[payslip["employee_id"]]["occurrences"] if day[field]]
        spans = ", ".join(f"{_day(day['work_date'])} {_present(day)}" for day in days[:2])
        minutes = sum(day[field] for day in days)
        yield Case(
            f"overtime on {words}",
            f"{books.person(payslip)}: {spans}",
            f"{minutes} minutes count: {line['quantity']} h x {line['rate']} (hourly wage x {FACTORS[kind]})",
            f"{books.amount(line['amount']):,.2f}",
        )


def _made_up_days(books: Books) -> Iterator[Case]:
    """Weekend days that a holiday calendar makes working days."""
    for row in books.company.of("holidays"):
        if row["day_kind"] == "WORKDAY" and row["date"][:7] == books.period:
            days = [day for sheet in books.timesheets.values() for day in sheet["occurrences"]]
            here = [day for day in days if day["work_date"] == row["date"] and day["worked_minutes"]]
            overtime = sum(day["overtime_rest_day_minutes"] + day["overtime_workday_minutes"] for day in here)
            yield Case(
                "made-up day",
                f"{len(here)} people worked on {_day(row['date'])}: {row['name'] or 'a moved working day'}",
                f"a workday by the State's calendar: {overtime} minutes of overtime",
                "",
            )


def _present(day: Any) -> str:
    return f"{_clock(day['punches'][0]['punched_at'])} to {_clock(day['punches'][-1]['punched_at'])}"


def _unpaid(books: Books, payslip: Any) -> Iterator[Case]:
    line = _line(payslip, "UNPAID_LEAVE")
    if line is None:
        return
    absences = [one for one in books.timesheets[payslip["employee_id"]]["absences"] if Decimal(one["paid_share"]) < 1]
    when = (
        ", ".join(f"{one['code'].lower()} on {_day(one['start_date'])}" for one in absences[:3]) or "hours not worked"
    )
    yield Case(
        "unpaid day",
        f"{books.person(payslip)}: {when}",
        f"{line['quantity']} day x {line['rate']} (monthly wage / 21.75)",
        f"{books.amount(line['amount']):,.2f}",
    )


def changed_wages(books: Books) -> Iterator[Any]:
    """The payslips whose wage is not that of a whole month: a raise, a first or a last day inside it."""
    changed = {row["employee_number"] for row in books.company.of("compensation_changes")}
    changed |= {row["employee_number"] for row in books.company.of("terminations")}
    for payslip in books.payslips:
        employee = books.employees[payslip["employee_id"]]
        hired = employee["employment"]["hire_date"] or ""
        if employee["employee_number"] in changed or hired[:7] == books.period:
            yield payslip


def _raises(books: Books) -> Iterator[Case]:
    for row in books.company.of("compensation_changes"):
        payslip = books.of(row["employee_number"])
        parts = books.wage_parts(payslip) if payslip is not None and row["effective_date"][:7] == books.period else []
        if len(parts) > 1:
            shares = ", ".join(f"{part['segment_working_days']} at {_plain(part['monthly_wage'])}" for part in parts)
            yield Case(
                "mid-month raise",
                f"{books.person(payslip)}: {_plain(parts[0]['monthly_wage'])} a month, "
                f"{_plain(row['monthly_wage'])} from {_day(row['effective_date'])}",
                f"of {parts[0]['period_working_days']} paid days {shares}; statutory holidays are paid days",
                _base(books, payslip),
            )


def _joiners(books: Books) -> Iterator[Case]:
    for payslip in books.payslips:
        hired = books.employees[payslip["employee_id"]]["employment"]["hire_date"] or ""
        if hired[:7] == books.period:
            yield from _share(books, payslip, "joiner", f"first day {_day(hired)}")


def _leavers(books: Books) -> Iterator[Case]:
    for row in books.company.of("terminations"):
        payslip = books.of(row["employee_number"])
        if payslip is not None and row["last_day"][:7] == books.period:
            yield from _share(books, payslip, "leaver", f"{row['reason'].lower()}, last day {_day(row['last_day'])}")


def _share(books: Books, payslip: Any, title: str, what: str) -> Iterator[Case]:
    parts = books.wage_parts(payslip)
    if parts:
        days = sum(int(part["segment_working_days"]) for part in parts)
        yield Case(
            title,
            f"{books.person(payslip)}: {what}",
            f"{days} of {parts[0]['period_working_days']} paid days of {_plain(parts[-1]['monthly_wage'])}",
            _base(books, payslip),
        )


def _bonus(books: Books, payslip: Any) -> Iterator[Case]:
    tax, bonus = _line(payslip, "BONUS_IIT"), _line(payslip, "BONUS")
    if tax is not None and bonus is not None:
        amount = books.amount(bonus["amount"])
        yield Case(
            "bonus taxed alone",
            f"{books.person(payslip)}: annual bonus of {amount:,.2f}",
            f"not cumulated with the wage: a twelfth, {amount / 12:,.2f}, finds {_percent(tax['rate'])}; the tax on it",
            f"{-books.amount(tax['amount']):,.2f}",
        )


# ---- words ----------------------------------------------------------------------------------------------------------


def _line(payslip: Any, code: str) -> Any | None:
    return next((line for line in payslip["lines"] if line["code"] == code), None)


def _base(books: Books, payslip: Any) -> str:
    line = _line(payslip, "BASE")
    return f"{books.amount(line['amount']):,.2f}" if line else ""


def _local(instant: str) -> datetime:
    """An instant of the API on the clock of the workplace; all of the demo's are in China."""
    return datetime.fromisoformat(instant).astimezone(ZoneInfo("Asia/Shanghai"))


def _clock(instant: str) -> str:
    return f"{_local(instant):%H:%M}"


def _day(text: str) -> str:
    day = date.fromisoformat(text)
    return f"{DAY_NAMES[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"


def _percent(share: str) -> str:
    return f"{(Decimal(share) * 100).normalize():f}%"
