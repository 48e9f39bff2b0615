"""What became of everything out of the ordinary in a paid month: what happened, what the system did, the number."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from interfaces.cli.company_files import Company
from interfaces.cli.demo_books import EXAMPLES, NARROW, Books
from interfaces.cli.demo_month import Payday

DAY_WORDS = {"WORKDAY": "a workday", "REST_DAY": "a rest day", "HOLIDAY": "a statutory holiday"}
FACTORS = {"WORKDAY": "1.5", "REST_DAY": "2", "HOLIDAY": "3"}  # as the trace names them; shown in words only
DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FRIDAY = 4  # its night ends on a rest day
MAX_CASES = 60
HOME = "Asia/Shanghai"
TITLE, AMOUNT = 17, 11  # widths


class Case(NamedTuple):
    """Something out of the ordinary: what happened, what the system did, and the number."""

    title: str
    happened: str
    did: str
    number: str
    who: str  # employee id; empty where it is nobody alone


def print_story(console: Console, books: Books) -> set[str]:
    """What became of everything out of the ordinary in the month; answers the ids of those who are named."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", **NARROW)
    text = min(33, (console.width - TITLE - AMOUNT - 6) // 2)  # the other columns are not to give way
    table.add_column("case", width=TITLE, no_wrap=True)
    table.add_column("what happened", width=text)
    table.add_column("what the system did", width=text - 2)
    table.add_column("CNY" if not books.month.paydays else books.month.paydays[0].run["currency"],
                     justify="right", no_wrap=True, width=AMOUNT)  # fmt: skip
    named: set[str] = set()
    told = 0
    for chapter, tells in CHAPTERS.items():
        table.add_row(Text(chapter, style="bold underline"))
        for tell in tells:
            for case in tell(books):
                if told < MAX_CASES:
                    told += 1
                    named.add(case.who)
                    table.add_row(Text(case.title, style="bold"), Text(case.happened), Text(case.did), case.number)
        table.add_section()
    console.print("\nThe awkward cases of the month", style="bold")
    console.print(table)
    return named


# ---- punches --------------------------------------------------------------------------------------------------------


def _late(books: Books) -> Iterator[Case]:
    late = [(number, day) for number, day in books.days() if day["late_minutes"]]
    for number, day in late[:EXAMPLES]:
        who = books.ids[number]
        came = _clock(books, who, day["punches"][0]["punched_at"])
        flexible = _shift(books.company, day["shift"])["flexible_minutes"]
        owed = f"core from {_shift(books.company, day['shift'])['core_start']}" if flexible else (
            f"planned {_clock(books, who, day['planned'][0]['start'])}"
        )  # fmt: skip
        yield Case(
            "late punch",
            f"{books.person(who)} came at {came} on {_day(day['work_date'])}, {owed}",
            f"{day['late_minutes']} minutes late on the timesheet; no component docks them: the wage is whole",
            _register_amount(books, who, "BASE"),
            who,
        )
    yield from _more(late[EXAMPLES:], "late punch")


def _forgotten(books: Books) -> Iterator[Case]:
    for refused in books.month.open_time[:EXAMPLES]:
        who, work_date = refused["employee_id"], refused["work_date"]
        day = books.day(_number(books, who), work_date)
        if day is None:
            continue
        punches = day["punches"]
        yield Case(
            "forgotten punch",
            f"{books.person(who)} went in at {_clock(books, who, punches[0]['punched_at'])} on {_day(work_date)} and "
            "never out",
            f"not submitted: {refused['refusal']['reason']}; a correction (out at "
            f"{_clock(books, who, punches[-1]['punched_at'])}) approved by the manager: {day['worked_minutes']} "
            "minutes",
            "",
            who,
        )


def _doubled(books: Books) -> Iterator[Case]:
    doubled = [(number, day) for number, day in books.days() if any(one["duplicate_of"] for one in day["punches"])]
    for number, day in doubled[:EXAMPLES]:
        who = books.ids[number]
        times = ", ".join(_clock(books, who, one["punched_at"], seconds=True) for one in day["punches"])
        count = sum(1 for one in day["punches"] if one["duplicate_of"])
        yield Case(
            "doubled punches",
            f"{books.person(who)}, {_day(day['work_date'])}: {times}",
            f"the first of each two counts, {count} are kept as duplicates: {day['worked_minutes']} minutes",
            "",
            who,
        )
    yield from _more(doubled[EXAMPLES:], "doubled punches")


def _out_of_order(books: Books) -> Iterator[Case]:
    before: dict[str, str] = {}
    late: dict[str, dict[str, None]] = {}
    for row in books.company.of("punches"):
        number, at = row["employee_number"], row["punched_at"]
        if at < before.get(number, ""):
            late.setdefault(at[:10], {})[number] = None
        before[number] = max(before.get(number, ""), at)
    for work_date, numbers in list(late.items())[:EXAMPLES]:
        number = next(iter(numbers))
        day = books.day(number, work_date)
        if day is None:
            continue
        who = books.ids[number]
        yield Case(
            "out of order",
            f"a terminal sent {_day(work_date)} of {len(numbers)} people after the month, the newest first",
            f"each punch found its work day: {books.person(who)} has {day['worked_minutes']} minutes, absent "
            f"{day['absent_minutes']}",
            "",
            who,
        )


def _after_lock(books: Books) -> Iterator[Case]:
    rows = {(row["employee_number"], row["work_date"]): row for row in books.month.came_later("adjustments")}
    for (number, work_date), row in list(rows.items())[:EXAMPLES]:
        who = books.ids.get(number, "")
        for made in books.timesheets.get(who, {"adjustments": ()})["adjustments"]:
            if made["work_date"] != work_date or made["reason"] != row["reason"]:
                continue
            lines = ", ".join(f"{line['minutes']:+} {line['pay_code'].lower()}" for line in made["lines"])
            yield Case(
                "after the lock",
                f"{books.person(who)}, {_day(work_date)}: {row['reason']}",
                f"an adjustment, the timesheet stays LOCKED and the day its own: {lines} minutes; the wage",
                _register_amount(books, who, "gross"),
                who,
            )


def _without_punches(books: Books) -> Iterator[Case]:
    for payday in books.month.paydays:
        for blocker in payday.deferred[:EXAMPLES]:
            who = blocker["employee_id"]
            days = list(books.timesheets.get(who, {"occurrences": ()})["occurrences"])
            absent = sum(1 for day in days if day["absent_minutes"])
            punched = any(day["punches"] for day in days)
            yield Case(
                "blocked" if punched else "no punches",
                f"{books.person(who)}" + ("" if punched else f" punched on no day: {absent} days absent"),
                f"{blocker['reason']}: no payslip rather than a negative one; left to a later run by name",
                "none",
                who,
            )


# ---- shifts ---------------------------------------------------------------------------------------------------------


def _nights(books: Books) -> Iterator[Case]:
    """One night over midnight into another kind of day, or else any night; then what nights are paid."""
    nights = [(number, day) for number, day in books.days() if day["night_minutes"] and len(day["punches"]) > 1]
    last_day = _last_day(books.period)
    fridays = [night for night in nights if date.fromisoformat(night[1]["work_date"]).weekday() == FRIDAY]
    chosen = max(fridays or nights, key=lambda night: str(night[1]["work_date"]), default=None)
    if chosen is not None:
        yield _night(books, *chosen, "night shift", "none overtime")
    over = next((night for night in nights if night[1]["work_date"] == last_day and night != chosen), None)
    if over is not None:
        yield _night(books, *over, "over month's end", f"all of them {_day(last_day)[4:].split()[1]}'s")


def _night(books: Books, number: str, day: Any, title: str, remark: str) -> Case:
    who, punches = books.ids[number], day["punches"]
    last = _local(books, who, punches[-1]["punched_at"]).date().isoformat()
    payslip = next(iter(books.of(number)), None)
    line = None if payslip is None else next((one for one in payslip["lines"] if one["code"].startswith("NIGHT")), None)
    paid = f"; the month's {line['quantity']} h x {line['rate']} by a component of its own" if line else ""
    return Case(
        title,
        f"{books.person(who)} worked {_day(day['work_date'])} {_clock(books, who, punches[0]['punched_at'])} to "
        f"{_day(last)} {_clock(books, who, punches[-1]['punched_at'])}",
        f"one work day, {_day(day['work_date'])}: {day['worked_minutes']} minutes, {day['night_minutes']} of them "
        f"at night, {remark}{paid}",
        f"{books.amount(line['amount']):,.2f}" if line else "",
        who,
    )


def _rotation(books: Books) -> Iterator[Case]:
    for schedule in [row for row in books.company.of("work_schedules") if row["rotation"]][:1]:
        crews = {row["code"] for row in books.company.of("work_schedules") if row["rotation"]}
        people = [row["employee_number"] for row in books.company.of("employees") if row["work_schedule"] in crews]
        mine = [row["employee_number"] for row in books.company.of("employees")
                if row["work_schedule"] == schedule["code"] and row["employee_number"] in books.ids]  # fmt: skip
        for number in mine[:1]:
            days = [day for each, day in books.days() if each == number]
            counts = {code: sum(1 for day in days if day["shift"] == code) for code in
                      dict.fromkeys(filter(None, schedule["rotation"]))}  # fmt: skip
            shifts = ", ".join(f"{count} {code.lower()}" for code, count in counts.items())
            yield Case(
                "rotating shifts",
                f"{books.person(books.ids[number])}: {shifts}, {sum(1 for day in days if not day['shift'])} days off",
                f"planned from a pattern of {len(schedule['rotation'])} days; {len(people)} people in "
                f"{len(crews)} crews share it, weekends and holidays too",
                "",
                books.ids[number],
            )


def _split_shift(books: Books) -> Iterator[Case]:
    split = {row["code"] for row in books.company.of("shifts") if row["second_start"]}
    for number, day in books.days():
        if day["shift"] in split and len(day["punches"]) == 4 and not day["late_minutes"]:
            who = books.ids[number]
            spans = " and ".join(
                f"{_clock(books, who, day['punches'][place]['punched_at'])} to "
                f"{_clock(books, who, day['punches'][place + 1]['punched_at'])}"
                for place in (0, 2)
            )
            yield Case(
                "split shift",
                f"{books.person(who)}, {_day(day['work_date'])}: {spans}",
                f"two parts of one work day: {day['worked_minutes']} of {day['planned_minutes']} minutes, the hours "
                "between are free",
                "",
                who,
            )
            return


def _flexible(books: Books) -> Iterator[Case]:
    shifts = {row["code"]: row for row in books.company.of("shifts") if row["flexible_minutes"]}
    for number, day in books.days():
        if day["shift"] in shifts and len(day["punches"]) == 2 and not day["late_minutes"]:
            who, shift = books.ids[number], shifts[day["shift"]]
            core = f", the core {shift['core_start']} to {shift['core_end']} kept" if shift["core_start"] else ""
            yield Case(
                "flexible hours",
                f"{books.person(who)}, {_day(day['work_date'])}: {_present(books, who, day)}",
                f"{day['worked_minutes']} of {day['planned_minutes']} minutes at hours of one's own{core}; the break "
                "taken off",
                "",
                who,
            )
            return


def _other_zone(books: Books) -> Iterator[Case]:
    for number, day in books.days():
        who = books.ids[number]
        if books.zones[who] != HOME and day["planned"] and day["punches"]:
            at = day["punches"][0]["punched_at"]
            home = f"{datetime.fromisoformat(at).astimezone(ZoneInfo(HOME)):%H:%M}"
            yield Case(
                "other time zone",
                f"{books.person(who)} came at {_clock(books, who, at)} on {_day(day['work_date'])} in "
                f"{books.zones[who].partition('/')[2]}, {home} in Shanghai",
                f"the shift is planned at {_clock(books, who, day['planned'][0]['start'])} where the office is: "
                f"{'on time' if not day['late_minutes'] else 'late'}, {day['worked_minutes']} minutes",
                "",
                who,
            )
            return


def _made_up_days(books: Books) -> Iterator[Case]:
    """Weekend days that a holiday calendar makes working days."""
    for row in books.company.of("holidays"):
        if row["day_kind"] == "WORKDAY" and row["date"][:7] == books.period:
            here = [day for _, day in books.days() if day["work_date"] == row["date"] and day["worked_minutes"]]
            punched = {each["employee_number"] for each in books.company.of("punches")
                       if each["punched_at"][:10] == row["date"]}  # fmt: skip
            overtime = sum(day["overtime_rest_day_minutes"] + day["overtime_workday_minutes"] for day in here)
            yield Case(
                "made-up day",
                f"{len(punched)} people punched on {_day(row['date'])}: {row['name'] or 'a moved working day'}",
                f"a workday by the State's calendar: {overtime} minutes of overtime",
                "",
                "",
            )


# ---- people ---------------------------------------------------------------------------------------------------------


def _raises(books: Books) -> Iterator[Case]:
    for row in books.company.of("compensation_changes"):
        for payslip in books.of(row["employee_number"]) if row["effective_date"][:7] == books.period else ():
            parts = books.wage_parts(payslip)
            if len(parts) > 1:
                shares = ", ".join(
                    f"{part['segment_working_days']} at {_plain(part['monthly_wage'])}" for part in parts
                )
                yield Case(
                    "mid-month raise",
                    f"{books.person(payslip['employee_id'])}: {_plain(parts[0]['monthly_wage'])} a month, "
                    f"{_plain(row['monthly_wage'])} from {_day(row['effective_date'])}",
                    f"of {parts[0]['period_working_days']} paid days {shares}; statutory holidays are paid days",
                    _base(books, [payslip]),
                    payslip["employee_id"],
                )


def _joiners(books: Books) -> Iterator[Case]:
    for row in books.company.of("employees"):
        if row["hire_date"][:7] == books.period:
            yield from _share(books, row, "joiner", f"first day {_day(row['hire_date'])}")


def _leavers(books: Books) -> Iterator[Case]:
    for row in books.company.of("terminations"):
        if row["last_day"][:7] == books.period:
            yield from _share(books, row, "leaver", f"{row['reason'].lower()}, last day {_day(row['last_day'])}")


def _rehired(books: Books) -> Iterator[Case]:
    left = {row["employee_number"]: row["last_day"] for row in books.company.of("terminations")}
    for row in books.company.of("rehires"):
        if row["hire_date"][:7] == books.period:
            gone = left.get(row["employee_number"], "")
            before = f"left on {_day(gone)}, " if gone else ""
            yield from _share(books, row, "rehire", f"{before}back on {_day(row['hire_date'])}; same number")


def _share(books: Books, row: Any, title: str, what: str) -> Iterator[Case]:
    for payslip in books.of(row["employee_number"]):
        parts = books.wage_parts(payslip)
        if parts:
            days = sum(int(part["segment_working_days"]) for part in parts)
            yield Case(
                title,
                f"{books.person(payslip['employee_id'])}: {what}",
                f"{days} of {parts[0]['period_working_days']} paid days of {_plain(parts[-1]['monthly_wage'])}",
                _base(books, [payslip]),
                payslip["employee_id"],
            )


def _transfers(books: Books) -> Iterator[Case]:
    hired = {row["employee_number"]: row for row in books.company.of("employees")}
    for row in books.company.of("transfers"):
        number = row["employee_number"]
        slips, before = books.of(number), hired.get(number)
        if row["effective_date"][:7] != books.period or not slips or before is None:
            continue
        parts = [part for payslip in slips for part in books.wage_parts(payslip)]
        days = " and ".join(part["segment_working_days"] for part in parts)
        whole = parts[0]["period_working_days"] if parts else ""
        if row["pay_group"] and row["pay_group"] != before["pay_group"]:
            insured = [_first_line(payslip, "PENSION_EMPLOYEE") is not None for payslip in slips]
            once = "; the month's contributions are taken once, by the first" if insured == [True, False] else ""
            yield Case(
                "new employer",
                f"{books.person(books.ids[number])}: from {before['legal_entity']} to {row['legal_entity']} on "
                f"{_day(row['effective_date'])}",
                f"{len(slips)} payslips, {days} of {whole} paid days, each withheld by its own registration{once}",
                _base(books, slips),
                books.ids[number],
            )
        elif row["department"]:
            yield Case(
                "new department",
                f"{books.person(books.ids[number])}: from {before['department']} to {row['department']} on "
                f"{_day(row['effective_date'])}",
                f"one payslip in {len(parts)} parts, {days} of {whole} paid days, each at its department",
                _base(books, slips),
                books.ids[number],
            )


# ---- pay ------------------------------------------------------------------------------------------------------------


def _overtime(books: Books) -> Iterator[Case]:
    asked = {books.ids.get(row["employee_number"], "") for row in books.company.of("overtime_requests")}
    for kind, words in DAY_WORDS.items():
        paid = [one for one in books.lines(f"OVERTIME_{kind}") if one[0] not in asked]
        field = f"overtime_{kind.lower()}_minutes"
        for who, _ in paid[:EXAMPLES]:
            number = _number(books, who)
            for payslip in books.of(number):
                line = _first_line(payslip, f"OVERTIME_{kind}")
                if line is None:
                    continue
                days = [day for each, day in books.days() if each == number and day[field]]
                spans = ", ".join(f"{_day(day['work_date'])} {_present(books, who, day)}" for day in days[:2])
                more = f" and {len(days) - 2} more" if len(days) > 2 else ""
                minutes = sum(day[field] for day in days)
                yield Case(
                    f"overtime x {FACTORS[kind]}",
                    f"{books.person(who)}, {words}: {spans}{more}",
                    f"{minutes} minutes count: {line['quantity']} h x {_plain(line['rate'])} (hourly wage x "
                    f"{FACTORS[kind]})",
                    f"{books.amount(line['amount']):,.2f}",
                    who,
                )
        rest = paid[EXAMPLES:]
        if rest:
            total = sum((amount for _, amount in rest), Decimal())
            yield Case(
                f"overtime x {FACTORS[kind]}", f"and {len(rest)} more people", "priced alike", f"{total:,.2f}", ""
            )


def _on_request(books: Books) -> Iterator[Case]:
    """Overtime that needs an approval: what was asked for, and what was not."""
    asked = {(row["employee_number"], row["work_date"]): row for row in books.company.of("overtime_requests")}
    for number, day in books.days():
        row, who = asked.get((number, day["work_date"])), books.ids[number]
        if row is not None and day["overtime_workday_minutes"]:
            yield Case(
                "asked overtime",
                f"{books.person(who)}, {_day(day['work_date'])}: stayed to "
                f"{_clock(books, who, day['punches'][-1]['punched_at'])}; {row['minutes']} minutes asked for",
                f"approved by the manager: {day['overtime_workday_minutes']} minutes count",
                _register_amount(books, who, "OVERTIME_WORKDAY"),
                who,
            )
        elif day["unapproved_overtime_minutes"]:
            yield Case(
                "unasked overtime",
                f"{books.person(who)}, {_day(day['work_date'])}: stayed to "
                f"{_clock(books, who, day['punches'][-1]['punched_at'])} and asked nobody",
                f"{day['unapproved_overtime_minutes']} minutes stand on the timesheet as unapproved and are not paid",
                "0.00",
                who,
            )


def _unpaid(books: Books) -> Iterator[Case]:
    for who, amount in books.lines("UNPAID_LEAVE")[:EXAMPLES]:
        for payslip in books.of(_number(books, who))[:1]:
            line = _first_line(payslip, "UNPAID_LEAVE")
            absences = [one for one in books.timesheets[who]["absences"] if Decimal(one["paid_share"]) < 1]
            when = ", ".join(f"{one['code'].lower()} on {_day(one['start_date'])}" for one in absences[:3])
            yield Case(
                "unpaid day",
                f"{books.person(who)}: {when or 'hours not worked'}",
                f"{line['quantity']} day x {line['rate']} (monthly wage / 21.75)" if line else "",
                f"{amount:,.2f}",
                who,
            )


def _late_raises(books: Books) -> Iterator[Case]:
    for payday in books.month.paydays:
        for who, (before, after) in payday.recalculated.items():
            yield Case(
                "late raise",
                f"{books.person(who)}: {_raise_of(books, who)} came in after the calculation",
                "STALE, approval refused: INPUTS_CHANGED; recalculated alone, gross was "
                f"{books.amount(before['gross']):,.2f}",
                f"{books.amount(after['gross']):,.2f}",
                who,
            )
        for stale in payday.left_to_retro[:EXAMPLES]:
            who = stale["employee_id"]
            yield Case(
                "left to retro",
                f"{books.person(who)}: {_raise_of(books, who)} came in after the calculation, too",
                "left to retro by name: approved as calculated and marked as stale; the difference is for a later run",
                _register_amount(books, who, "gross"),
                who,
            )


def _raise_of(books: Books, employee_id: str) -> str:
    for row in books.month.came_later("compensation_changes"):
        if books.ids.get(row["employee_number"]) == employee_id:
            return f"a raise to {_plain(row['monthly_wage'])} from {_day(row['effective_date'])}"
    return "a change"


def _bonus(books: Books) -> Iterator[Case]:
    for beside in (False, True):
        for payslip in list(books.payslips.values()):
            tax, bonus = _first_line(payslip, "BONUS_IIT"), _first_line(payslip, "BONUS")
            runs = {payday.run["id"] for payday in _paydays(books, beside) if payday.run["kind"] != "REVERSAL"
                    and payday.run["status"] != "REVERSED"}  # fmt: skip
            here = payslip["run_id"] in runs
            if tax is None or bonus is None or not here:
                continue
            amount = books.amount(bonus["amount"])
            alone = f"a twelfth, {amount / 12:,.2f}, finds {_percent(tax['rate'])}; the tax on it"
            yield Case(
                "off-cycle bonus" if beside else "bonus taxed alone",
                f"{books.person(payslip['employee_id'])}: "
                + (f"{amount:,.2f} paid beside the month" if beside else f"annual bonus of {amount:,.2f}"),
                f"an OFF_CYCLE run pays it and nothing else; {alone}"
                if beside
                else f"not cumulated with the wage: {alone}",
                f"{-books.amount(tax['amount']):,.2f}",
                payslip["employee_id"],
            )


def _taken_back(books: Books) -> Iterator[Case]:
    for payday in books.month.beside:
        if payday.run["kind"] != "REVERSAL":
            continue
        before = next(one.run for one in books.month.runs if one.run["id"] == payday.run["reverses_run_id"])
        for row in payday.rows[:1]:
            who = row["employee_id"]
            yield Case(
                "reversed run",
                f"{books.person(who)} was paid {-Decimal(row['gross']):,.2f} beside the month that was somebody else's",
                f"a run of negated lines, tax included, approved by a second person; the first is {before['status']}",
                f"{Decimal(row['net']):,.2f}",
                who,
            )


def _history(books: Books) -> Iterator[Case]:
    for row in books.company.of("opening_balances"):
        for payslip in books.of(row["employee_number"])[-1:]:
            tax = _first_line(payslip, "IIT")
            months = payslip["year_to_date"]["totals"].get("months", "")
            yield Case(
                "opening balance",
                f"{books.person(payslip['employee_id'])} brings {row['months']} months: income "
                f"{_plain(row['income'])}, tax {_plain(row['tax'])}",
                f"withholding goes on from it: month {months} of the year at {_percent(tax['rate']) if tax else '0%'}, "
                "less what was withheld before",
                f"{-books.amount(tax['amount']):,.2f}" if tax else "",
                payslip["employee_id"],
            )


Tell = Callable[[Books], Iterable[Case]]
CHAPTERS: dict[str, tuple[Tell, ...]] = {
    "Punches": (_late, _forgotten, _doubled, _out_of_order, _without_punches, _after_lock),
    "Shifts": (_nights, _rotation, _split_shift, _flexible, _other_zone, _made_up_days),
    "People": (_raises, _joiners, _leavers, _rehired, _transfers),
    "Pay": (_overtime, _on_request, _unpaid, _late_raises, _bonus, _taken_back, _history),
}


# ---- words ----------------------------------------------------------------------------------------------------------


def _more(rest: list[Any], title: str) -> Iterator[Case]:
    if rest:
        yield Case(title, f"and {len(rest)} more", "alike", "", "")


def _paydays(books: Books, beside: bool) -> list[Payday]:
    return books.month.beside if beside else books.month.paydays


def _number(books: Books, employee_id: str) -> str:
    return str(books.employees[employee_id]["employee_number"])


def _shift(company: Company, code: str | None) -> Any:
    nothing = {"flexible_minutes": None, "core_start": None}
    return next((row for row in company.of("shifts") if row["code"] == code), nothing)


def _first_line(payslip: Any, code: str) -> Any | None:
    return next((line for line in payslip["lines"] if line["code"] == code), None)


def _base(books: Books, payslips: list[Any]) -> str:
    lines = [line for payslip in payslips if (line := _first_line(payslip, "BASE")) is not None]
    return f"{sum((books.amount(line['amount']) for line in lines), Decimal()):,.2f}" if lines else ""


def _register_amount(books: Books, employee_id: str, column: str) -> str:
    found = [Decimal(row[column]) for payday in books.month.paydays for row in payday.rows
             if row["employee_id"] == employee_id and row.get(column)]  # fmt: skip
    return f"{sum(found, Decimal()):,.2f}" if found else ""


def _local(books: Books, employee_id: str, instant: str) -> datetime:
    """An instant of the API on the clock of the workplace."""
    return datetime.fromisoformat(instant).astimezone(ZoneInfo(books.zones[employee_id]))


def _clock(books: Books, employee_id: str, instant: str, *, seconds: bool = False) -> str:
    at = _local(books, employee_id, instant)
    return f"{at:%H:%M:%S}" if seconds else f"{at:%H:%M}"


def _present(books: Books, employee_id: str, day: Any) -> str:
    first, last = day["punches"][0]["punched_at"], day["punches"][-1]["punched_at"]
    return f"{_clock(books, employee_id, first)} to {_clock(books, employee_id, last)}"


def _day(text: str) -> str:
    day = date.fromisoformat(text)
    return f"{DAY_NAMES[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"


def _last_day(period: str) -> str:
    next_month = date.fromisoformat(f"{period}-01") + timedelta(days=31)
    return (next_month.replace(day=1) - timedelta(days=1)).isoformat()


def _plain(text: str) -> str:
    """A decimal string for people: thousands apart, no more digits than there are."""
    try:
        number = Decimal(text)
    except ArithmeticError:
        return text
    return f"{number.normalize():,f}"


def _percent(share: str) -> str:
    return f"{(Decimal(share) * 100).normalize():f}%"
