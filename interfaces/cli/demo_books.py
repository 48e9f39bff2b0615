"""What the demo has in its hands of a paid month: the registers, and payslips explained line by line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from interfaces.cli.company_files import Company
from interfaces.cli.demo_month import Callers, Month, Payday
from interfaces.cli.progress import Step

INSURANCES = ("PENSION_EMPLOYEE", "MEDICAL_EMPLOYEE", "UNEMPLOYMENT_EMPLOYEE")
FUND = ("HOUSING_FUND_EMPLOYEE", "HOUSING_FUND_SUPPLEMENTARY_EMPLOYEE")
TAXES = ("IIT", "BONUS_IIT", "SEVERANCE_IIT")
TOLD_COMPONENTS = ("NIGHT", "OVERTIME", "UNPAID", "BONUS")  # how the codes of lines begin that have a story
MAX_EXCEPTIONS = 200
EXAMPLES = 2  # of one kind that are told one by one; the others are counted
FEW = 40  # people whose timesheets and payslips are all read and shown; of more, those with a story
TWICE_S = 60  # seconds between two punches of which one is a duplicate
WHOLE_WIDTH = 98  # columns of a terminal that shows every column of a register
NARROW_COLUMNS = ("gross", "income tax", "net")
NARROW: Any = {"pad_edge": False, "collapse_padding": True}  # 100 columns are all there is

_WORD = re.compile(r"[a-z_][A-Za-z0-9_]*(?!\()\b")
_GUARD = re.compile(r"if\((\w+) == 0, ([^,()]*), ([^,()]*)\)")


@dataclass(slots=True)
class Books:
    """A paid month as the API answers it, and the files that it began with.

    Invariants: of a small company every timesheet is there, of a larger one those that have a story; so for payslips.
    """

    month: Month
    company: Company
    employees: Mapping[str, Any]  # by id
    ids: Mapping[str, str]  # by employee number
    zones: Mapping[str, str]  # of the workplace, by id
    timesheets: dict[str, Any] = field(default_factory=dict)  # by id
    payslips: dict[tuple[str, str], Any] = field(default_factory=dict)  # by run and employee
    wage_traces: dict[str, Any] = field(default_factory=dict)  # by payslip

    @staticmethod
    def amount(money: Any) -> Decimal:
        """Money of the API in major units."""
        return Decimal(money["amount"])

    @property
    def period(self) -> str:
        """The month."""
        return self.month.period

    def person(self, employee_id: str) -> str:
        """Number and name."""
        employee = self.employees[employee_id]
        return f"{employee['employee_number']} {employee['person']['legal_name']}"

    def of(self, number: str, *, beside: bool = False) -> list[Any]:
        """The payslips of an employee number that were read, in the order of the runs."""
        runs = self.month.beside if beside else self.month.paydays
        found = (self.payslips.get((payday.run["id"], self.ids.get(number, ""))) for payday in runs)
        return [payslip for payslip in found if payslip is not None]

    def days(self) -> Iterator[tuple[str, Any]]:
        """Every work day of everybody, by employee number."""
        for number, employee_id in self.ids.items():
            for day in self.timesheets.get(employee_id, {"occurrences": ()})["occurrences"]:
                yield number, day

    def day(self, number: str, work_date: str) -> Any | None:
        """One work day of somebody."""
        sheet = self.timesheets.get(self.ids.get(number, ""), {"occurrences": ()})
        return next((day for day in sheet["occurrences"] if day["work_date"] == work_date), None)

    def lines(self, code: str) -> list[tuple[str, Decimal]]:
        """Who got a component in the regular runs: employee ids and amounts, by employee number."""
        return [
            (row["employee_id"], Decimal(row[code]))
            for payday in self.month.paydays
            for row in sorted(payday.rows, key=lambda row: row["employee_number"])
            if Decimal(row.get(code) or 0)
        ]

    def wage_parts(self, payslip: Any) -> list[dict[str, str]]:
        """The pieces of a wage that is not that of a whole month: each one's inputs by name."""
        parts: dict[int, dict[str, str]] = {}
        for step in self.wage_traces.get(payslip["id"], {"steps": ()})["steps"]:
            if step["segment"]:
                parts.setdefault(step["segment"], {})[step["name"]] = step["value"]
        return [parts[segment] for segment in sorted(parts)]


async def read_books(callers: Callers, month: Month, company: Company, step: Step) -> Books:
    """Everything that the story, the registers and the explanation speak of, as the API answers it."""
    employees = {employee["id"]: employee for employee in await callers.hr.pages("/v1/employees")}
    ids = {employee["employee_number"]: employee_id for employee_id, employee in employees.items()}
    zone_of = {row["code"]: row["time_zone"] for row in company.of("locations")}
    zones = {
        employee_id: zone_of.get((employee["assignment"] or {}).get("location", ""), "Asia/Shanghai")
        for employee_id, employee in employees.items()
    }
    books = Books(month, company, employees, dict(sorted(ids.items())), zones)
    paid = sorted({row["employee_id"] for payday in month.paydays for row in payday.rows})
    deferred = sorted({one["employee_id"] for payday in month.paydays for one in payday.deferred})
    read = [*paid, *deferred]
    if len(read) > FEW:
        told = _with_time_to_tell(books).union(deferred)
        read = [employee_id for employee_id in read if employee_id in told]
    step.total = len(read)
    for employee_id in read:
        page, _ = await callers.hr.get("/v1/timesheets", employee_id=employee_id, period=month.period)
        if page["data"]:
            books.timesheets[employee_id] = page["data"][0]
        step.advance()
    changed = _changed_wages(books)
    named = changed | _with_lines_to_tell(books) | _in_over_the_end(books)
    for payday in month.runs:
        for row in payday.rows:
            if row["employee_id"] in named or payday in month.beside:
                payslip, _ = await callers.payroll.get(f"/v1/payslips/{row['payslip_id']}")
                books.payslips[payday.run["id"], row["employee_id"]] = payslip
    for payslip in books.payslips.values():
        if payslip["employee_id"] in changed and any(line["code"] == "BASE" for line in payslip["lines"]):
            trace, _ = await callers.payroll.get(f"/v1/payslips/{payslip['id']}/lines/BASE/trace")
            books.wage_traces[payslip["id"]] = trace
    return books


def _changed_wages(books: Books) -> set[str]:
    """Whose wage is not that of a whole month under one roof: a raise, a move, a first or a last day inside it."""
    dated = (
        ("compensation_changes", "effective_date"), ("transfers", "effective_date"), ("terminations", "last_day"),
        ("rehires", "hire_date"), ("employees", "hire_date"),
    )  # fmt: skip
    found = {
        books.ids.get(row["employee_number"], "")
        for name, column in dated
        for row in books.company.of(name)
        if row[column][:7] == books.period
    }
    found |= {books.ids.get(row["employee_number"], "") for row in books.company.of("opening_balances")}
    for payday in books.month.paydays:
        found |= set(payday.recalculated) | {one["employee_id"] for one in payday.left_to_retro}
    return found


def _with_time_to_tell(books: Books) -> set[str]:
    """Whose timesheets are worth reading: those with days to look at or a story, and one of each kind of shift."""
    company = books.company
    numbers = dict.fromkeys(one["employee_number"] for one in books.month.exceptions[:MAX_EXCEPTIONS])
    seen: set[tuple[str, str]] = set()
    for row in company.of("employees"):
        kind = (row["work_schedule"] or "", row["location"])
        if kind not in seen:
            seen.add(kind)
            numbers[row["employee_number"]] = None
    numbers |= dict.fromkeys(row["employee_number"] for row in company.of("overtime_requests"))
    numbers |= dict.fromkeys(row["employee_number"] for row in books.month.came_later("adjustments"))
    before: dict[str, str] = {}
    for row in company.of("punches"):
        number, at = row["employee_number"], row["punched_at"]
        if number in before and _seconds_between(before[number], at) < TWICE_S:
            numbers[number] = None  # doubled, or out of order
        before[number] = at
    found = {books.ids[number] for number in numbers if number in books.ids}
    found |= {one["employee_id"] for one in books.month.open_time}
    return found | _changed_wages(books) | _with_lines_to_tell(books) | _in_over_the_end(books)


def _in_over_the_end(books: Books) -> set[str]:
    """The first whose last punch of the month is in the next one."""
    for row in books.company.of("punches"):
        if row["punched_at"][:7] > books.period and row["employee_number"] in books.ids:
            return {books.ids[row["employee_number"]]}
    return set()


def _seconds_between(one: str, other: str) -> float:
    return (datetime.fromisoformat(other) - datetime.fromisoformat(one)).total_seconds()


def _with_lines_to_tell(books: Books) -> set[str]:
    """Who has a line with a story: of each kind the first ones."""
    codes = dict.fromkeys(code for payday in books.month.paydays for row in payday.rows[:1] for code in row)
    found: set[str] = set()
    for code in codes:
        if code.startswith(TOLD_COMPONENTS):
            found |= {employee_id for employee_id, _ in books.lines(code)[:EXAMPLES]}
    return found


# ---- the registers --------------------------------------------------------------------------------------------------


def print_register(console: Console, books: Books, named: set[str]) -> None:
    """A table per run, a payslip in one line (of a large run those of `named`, the others as a sum), and the sums."""
    for payday in books.month.paydays:
        _print_payday(console, books, payday, named)
    if books.month.beside:
        _print_beside(console, books)


def _print_beside(console: Console, books: Books) -> None:
    """The payslips of the runs that are not regular, in one table."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", **NARROW)
    whole = console.width >= WHOLE_WIDTH
    for title in ("no.", "name", "run", "which is now" if whole else "now"):
        table.add_column(title, no_wrap=True)
    for title in NARROW_COLUMNS if whole else ("gross", "net"):
        table.add_column(title, justify="right", no_wrap=True)
    for payday in books.month.beside:
        run = payday.run
        for row in payday.rows[:FEW]:
            gross, _, _, tax, net, _ = _register_row(row)
            words = (row["employee_number"], row["name"], f"{run['pay_group']} {run['kind']}", run["status"])
            amounts = (gross, tax, net) if whole else (gross, net)
            table.add_row(*map(Text, words), *(f"{each:,.2f}" for each in amounts))
    console.print(f"\nPaid and taken back beside the month {books.period}", style="bold")
    console.print(table)


def _print_payday(console: Console, books: Books, payday: Payday, named: set[str]) -> None:
    rows = sorted(payday.rows, key=lambda row: row["employee_number"])
    shown = rows if len(rows) <= FEW else [row for row in rows if row["employee_id"] in named]
    others = [_register_row(row) for row in rows if row not in shown]
    sums = _sums([_register_row(row) for row in rows])
    table = Table(box=SIMPLE_HEAD, show_footer=True, header_style="bold", footer_style="bold", **NARROW)
    table.add_column("no.", "", no_wrap=True)
    table.add_column("name", "total", no_wrap=True, max_width=16)
    titles = ("gross", "social ins.", "fund", "income tax", "net", "employer cost")
    # A narrow terminal has fewer columns rather than amounts cut short.
    places = [place for place, title in enumerate(titles) if console.width >= WHOLE_WIDTH or title in NARROW_COLUMNS]
    for place in places:
        table.add_column(titles[place], f"{sums[place]:,.2f}", justify="right", no_wrap=True)

    def told(amounts: Sequence[Decimal]) -> list[str]:
        return [f"{amounts[place]:,.2f}" for place in places]

    for row in shown:
        table.add_row(Text(row["employee_number"]), Text(row["name"]), *told(_register_row(row)))
    if others:
        table.add_row("", f"{len(others)} others", *told(_sums(others)), style="dim")
    run = payday.run
    heading = f"\nPayslip register {run['period']}, {run['pay_group']}, paid on {run['pay_date']}, {run['currency']}"
    console.print(heading, style="bold")
    console.print(table)
    console.print(f"The run's totals, kept by payroll: gross {books.amount(run['totals']['gross']):,.2f}, net "
                  f"{books.amount(run['totals']['net']):,.2f}, employer cost "
                  f"{books.amount(run['totals']['employer_cost']):,.2f}: the same.")  # fmt: skip
    if others:
        console.print(f"All {len(rows)} payslips as CSV: GET /v1/payroll-runs/{run['id']}/register")


def _sums(rows: list[tuple[Decimal, ...]]) -> list[Decimal]:
    return [sum((row[place] for row in rows), Decimal()) for place in range(6)]


def _register_row(row: Mapping[str, str]) -> tuple[Decimal, ...]:
    def together(codes: tuple[str, ...]) -> Decimal:
        return sum((Decimal(row.get(code) or 0) for code in codes), Decimal())

    return (
        Decimal(row["gross"]),
        together(INSURANCES),
        together(FUND),
        together(TAXES),
        Decimal(row["net"]),
        Decimal(row["employer_cost"]),
    )


# ---- one payslip, line by line --------------------------------------------------------------------------------------


def the_awkward_one(books: Books) -> Any:
    """The payslip that has most to explain: that of a raise inside the month, else the one with most lines."""
    for row in books.company.of("compensation_changes"):
        if row["effective_date"][:7] == books.period and not row["effective_date"].endswith("-01"):
            for found in books.of(row["employee_number"]):
                return found
    return max(books.payslips.values(), key=lambda payslip: len(payslip["lines"]), default=None)


def print_explained(
    console: Console, books: Books, payslip: Any, traces: Mapping[str, Any], replay: Mapping[str, Any]
) -> None:
    """Every line with what it was made of: quantity, rate, base, each step in numbers, and the law."""
    console.print(f"\nThe payslip of {books.person(payslip['employee_id'])}, line by line", style="bold")
    table = Table(box=SIMPLE_HEAD, header_style="bold", **NARROW)
    table.add_column("line", width=min(84, console.width - 16))
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
