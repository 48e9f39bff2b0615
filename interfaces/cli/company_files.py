"""A company as CSV files that people write: every row is read and checked before anything is sent."""

import csv
import io
import re
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

MAX_FILES = 100
MAX_CELL = 2000
SHOWN_OF_A_VALUE = 40
SAVE_AS = "save it as 'CSV UTF-8 (comma delimited)'"

WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
SHORT_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_KINDS = ("WORKDAY", "REST_DAY", "HOLIDAY")
DAY_OFF = "-"
MAX_PATTERN_DAYS = 366
MOST_ADJUSTED = 2880  # minutes
NOT_PAID = "NONE"  # what people write where a scheme is not paid

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_COMPONENT = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_ABSENCE = re.compile(r"[A-Z][A-Z0-9_-]{0,39}")
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,39}")
_DATE = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(:00)?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_AMOUNT = re.compile(r"-?([0-9]{1,12}|[0-9]{1,3}(,[0-9]{3}){1,3})(\.[0-9]{1,2})?")
_FRACTION = re.compile(r"(0(\.[0-9]{1,6})?|1(\.0{1,6})?)")
_PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2]|W(0[1-9]|[1-4][0-9]|5[0-3]))")
_EMAIL = re.compile(r"[^@ ]{1,64}@[^@ ]{1,189}")
_PHONE = re.compile(r"[+0-9 ()./-]{1,40}")
_NATIONAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{1,39}")
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{3,48}")
_BANK_CODE = re.compile(r"[A-Za-z0-9-]{1,20}")
_ROUNDING = re.compile(r"(UP|DOWN|NEAREST) ([1-9]|[1-5][0-9]|60)")
_PERCENT = re.compile(r"(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)%?")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read of a folder, and how many problems are told."""

    file_bytes: int = 32 * 1024 * 1024
    rows: int = 200_000  # of one file
    problems: int = 1000


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one place of one file, and what to do. Line 1 is the header; 0 means the whole file."""

    file: str
    line: int
    column: str
    message: str

    def __str__(self) -> str:
        line = f" line {self.line}" if self.line else ""
        column = f", column {self.column}" if self.column else ""
        return f"{self.file}{line}{column}: {self.message}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row that was read: its line, and its values by column; an empty optional cell is None."""

    file: str
    line: int
    values: Mapping[str, Any]

    def __getitem__(self, column: str) -> Any:
        return self.values[column]

    def problem(self, message: str, column: str = "") -> Problem:
        """A problem of this row."""
        return Problem(self.file, self.line, column, message)


Read = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: how its cells are read, and whether a cell (or the column) may be missing.

    Invariants: `read` takes a cell that is not empty and raises ValueError with what to do.
    """

    name: str
    read: Read
    required: bool = True


@dataclass(frozen=True, slots=True)
class Sheet:
    """One kind of file: its columns, what makes a row unique, and which other file a column names."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    names: tuple[tuple[str, str, str], ...] = ()  # column, the other file, its column

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.name}.csv"


@dataclass(slots=True)
class Company:
    """What was read of a folder: rows by kind of file, and the problems."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def of(self, name: str) -> list[Row]:
        """The rows of one kind of file; none where it is not there."""
        return self.rows.get(name, [])


# ---- cells ----------------------------------------------------------------------------------------------------------


def _matching(pattern: re.Pattern[str], told: str) -> Read:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(told)
        return text

    return read


def _text(longest: int) -> Read:
    def read(text: str) -> str:
        if len(text) > longest:
            raise ValueError(f"write at most {longest} characters")
        return text

    return read


def _choice(*allowed: str) -> Read:
    def read(text: str) -> str:
        found = text.upper().replace(" ", "_")
        if found not in allowed:
            raise ValueError(f"write one of {', '.join(allowed)}")
        return found

    return read


def _date(text: str) -> str:
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        raise ValueError("write a date that exists as year-month-day, such as 2026-10-31") from None


def _local_time(text: str) -> str:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("write a time of day such as 09:00")
    return f"{int(match[1]):02}:{match[2]}"


def _instant(text: str) -> str:
    told = "write date, time and offset, such as 2026-10-31T09:00:00+08:00"
    if not _INSTANT.fullmatch(text):
        raise ValueError(told)
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(told) from None


def _amount(text: str) -> str:
    if not _AMOUNT.fullmatch(text):
        raise ValueError("write an amount such as 20000.00, without a currency sign")
    return text.replace(",", "")


def _wage(text: str) -> str:
    found = _amount(text)
    if found.startswith("-"):
        raise ValueError("a wage is not negative")
    return found


def _base(text: str) -> str:
    """The base of a contribution, or the word for a scheme that is not paid."""
    return NOT_PAID if text.upper() == NOT_PAID else _wage(text)


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise ValueError("write the account number or IBAN, letters and digits")
    return text.replace(" ", "")


def _percent(text: str) -> str:
    if not _PERCENT.fullmatch(text):
        raise ValueError("write a percentage from 0 to 100, such as 40")
    return text.removesuffix("%")


def _pattern(text: str) -> list[str | None]:
    days = text.split()
    if len(days) > MAX_PATTERN_DAYS or not all(day == DAY_OFF or _CODE.fullmatch(day) for day in days):
        raise ValueError(
            f"write the shifts of the rotation in order, with {DAY_OFF} for a day off, such as EARLY EARLY NIGHT - -"
        )
    return [None if day == DAY_OFF else day for day in days]


def _rounding(text: str) -> dict[str, Any]:
    match = _ROUNDING.fullmatch(text.upper())
    if match is None:
        raise ValueError("write UP, DOWN or NEAREST and the minutes between marks, such as UP 15")
    return {"mode": match[1], "increment_minutes": int(match[2])}


def _whole(least: int, most: int) -> Read:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(text)

    return read


def _more_or_less(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,4}", text) or not 1 <= abs(int(text)) <= MOST_ADJUSTED:
        raise ValueError(f"write the minutes more, or less with a minus, at most {MOST_ADJUSTED}")
    return int(text)


def _yes_or_no(text: str) -> bool:
    answers = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}
    if text.lower() not in answers:
        raise ValueError("write yes or no")
    return answers[text.lower()]


def _zone(text: str) -> str:
    if text not in _known_zones():
        close = get_close_matches(text, _known_zones(), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"write an IANA time zone such as Asia/Shanghai{hint}")
    return text


def _known_zones() -> frozenset[str]:
    global _zones
    if not _zones:
        _zones = frozenset(zoneinfo.available_timezones())
    return _zones


_zones: frozenset[str] = frozenset()

_code = _matching(_CODE, "write a code of letters, digits, '_', '.' and '-', at most 40 characters, such as ENG")
_component = _matching(_COMPONENT, "write a code of capital letters, digits and '_', such as BONUS")
_absence = _matching(_ABSENCE, "write a code of capital letters, digits, '_' and '-', such as UNPAID")
_number = _matching(_NUMBER, "write an employee number of letters, digits and . _ / -, at most 40 characters")
_fraction = _matching(_FRACTION, "write a share between 0 and 1, such as 0.07 for 7%")
_currency = _matching(re.compile("[A-Z]{3}"), "write an ISO 4217 code such as CNY")
_country = _matching(re.compile("[A-Z]{2}"), "write an ISO 3166 code such as CN")
_period = _matching(_PERIOD, "write a period such as 2026-10, or 2026-W48 for a week")
_email = _matching(_EMAIL, "write an address such as li.wei@example.com")
_phone = _matching(_PHONE, "write a telephone number of digits, spaces and + ( ) . / -")
_national_id = _matching(_NATIONAL_ID, "write the number of the identity document, letters and digits")
_name = _text(200)
_bank_code = _matching(_BANK_CODE, "write the bank's code, letters and digits, such as 102100099996")


def _optional(name: str, read: Read) -> Column:
    return Column(name, read, required=False)


_CODE_AND_NAME = (Column("code", _code), Column("name", _name))
_EFFECTIVE = Column("effective_date", _date)
_PLACES = (
    ("legal_entity", "legal_entities", "code"),
    ("department", "departments", "code"),
    ("position", "positions", "code"),
    ("location", "locations", "code"),
    ("work_schedule", "work_schedules", "code"),
    ("pay_group", "pay_groups", "code"),
)
_EMPLOYMENT_TYPE = _optional("employment_type", _choice("FULL_TIME", "PART_TIME", "INTERN", "CONTRACTOR", "TEMPORARY"))
_ASSIGNMENT = (
    Column("legal_entity", _code), Column("department", _code), _optional("position", _code),
    Column("location", _code), _optional("manager", _number), _optional("work_schedule", _code),
    _optional("pay_group", _code), _optional("grade", _code),
)  # fmt: skip
_PAY = (_optional("monthly_wage", _wage), _optional("currency", _currency))
_STATUTORY = (
    _optional("social_insurance_city", _text(40)), _optional("social_insurance_base", _base),
    _optional("housing_fund_base", _base), _optional("housing_fund_rate", _fraction),
    _optional("injury_rate", _fraction), _optional("minimum_wage_zone", _text(10)),
    _optional("special_additional_deduction", _wage),
)  # fmt: skip
STATUTORY = tuple(column.name for column in _STATUTORY)
ASSIGNMENT = tuple(column.name for column in _ASSIGNMENT)

SHEETS = (
    Sheet(
        "legal_entities",
        (
            *_CODE_AND_NAME, Column("country", _country), _optional("currency", _currency),
            _optional("registration_number", _text(60)), _EFFECTIVE,
        ),
        key=("code", "effective_date"),
    ),
    Sheet(
        "withholding_registrations",
        (
            *_CODE_AND_NAME, Column("legal_entity", _code), Column("country", _country), Column("currency", _currency),
            _optional("registration_number", _text(60)), _EFFECTIVE,
        ),
        key=("code", "effective_date"),
        names=(("legal_entity", "legal_entities", "code"),),
    ),
    Sheet(
        "locations",
        (
            *_CODE_AND_NAME, Column("country", _country), Column("time_zone", _zone), _optional("address", _text(500)),
            _EFFECTIVE,
        ),
        key=("code", "effective_date"),
    ),
    Sheet(
        "departments",
        (*_CODE_AND_NAME, _optional("parent", _code), _EFFECTIVE),
        key=("code", "effective_date"),
        names=(("parent", "departments", "code"),),
    ),
    Sheet(
        "positions",
        (*_CODE_AND_NAME, _optional("headcount", _whole(0, 1_000_000)), _optional("department", _code), _EFFECTIVE),
        key=("code", "effective_date"),
        names=(("department", "departments", "code"),),
    ),
    Sheet(
        "time_calendars",
        (
            *_CODE_AND_NAME, _optional("first_day", _whole(1, 29)), _optional("week_start", _choice(*WEEKDAYS)),
            _EFFECTIVE,
        ),
        key=("code", "effective_date"),
    ),
    Sheet(
        "holidays",
        (
            Column("calendar", _code), Column("date", _date), Column("day_kind", _choice(*DAY_KINDS)),
            _optional("name", _name), _optional("works_as", _choice(*WEEKDAYS)),
        ),
        key=("calendar", "date"),
    ),
    Sheet(
        "overtime_policies",
        (
            *_CODE_AND_NAME, Column("day_kind", _choice(*DAY_KINDS)), Column("pay_component", _component),
            _optional("min_minutes", _whole(0, 480)), _optional("step_minutes", _whole(0, 240)),
            _optional("approval", _yes_or_no), _optional("night_start", _local_time),
            _optional("night_end", _local_time), _EFFECTIVE,
        ),
        key=("code", "effective_date", "day_kind"),
    ),
    Sheet(
        "shifts",
        (
            *_CODE_AND_NAME, Column("start", _local_time), Column("end", _local_time),
            _optional("break_start", _local_time), _optional("break_end", _local_time),
            _optional("second_start", _local_time), _optional("second_end", _local_time),
            _optional("flexible_minutes", _whole(1, 1440)), _optional("core_start", _local_time),
            _optional("core_end", _local_time), _optional("break_minutes", _whole(0, 240)),
            _optional("break_after_minutes", _whole(0, 1440)),
            _optional("in_rounding", _rounding), _optional("out_rounding", _rounding),
            _optional("late_grace_minutes", _whole(0, 120)), _optional("early_leave_grace_minutes", _whole(0, 120)),
            _EFFECTIVE,
        ),
        key=("code", "effective_date"),
    ),
    Sheet(
        "work_schedules",
        (
            *_CODE_AND_NAME, *(_optional(day, _code) for day in SHORT_DAYS), _optional("rotation", _pattern),
            _optional("rotation_start", _date), _optional("holiday_calendar", _code),
            _optional("overtime_policy", _code), _optional("works_on_holidays", _yes_or_no),
            _optional("ignores_moved_days", _yes_or_no), _optional("punches", _yes_or_no), _EFFECTIVE,
        ),
        key=("code", "effective_date"),
        names=(
            *((day, "shifts", "code") for day in SHORT_DAYS),
            ("holiday_calendar", "holidays", "calendar"),
            ("overtime_policy", "overtime_policies", "code"),
        ),
    ),
    Sheet(
        "pay_groups",
        (
            *_CODE_AND_NAME, Column("withholding_registration", _code), Column("frequency", _choice("MONTH", "WEEK")),
            Column("currency", _currency), Column("country", _country), _optional("time_calendar", _code),
            _optional("pay_day", _whole(1, 31)), _EFFECTIVE,
        ),
        key=("code", "effective_date"),
        names=(
            ("withholding_registration", "withholding_registrations", "code"),
            ("time_calendar", "time_calendars", "code"),
        ),
    ),
    Sheet(
        "pay_components",
        (
            Column("code", _component), Column("name", _name),
            Column("kind", _choice("EARNING", "DEDUCTION", "REIMBURSEMENT", "EMPLOYER_CONTRIBUTION", "INFORMATION")),
            Column("formula", _text(1000)), _optional("quantity", _text(1000)), _optional("rate", _text(1000)),
            _optional("taxed", _choice("WAGE", "SEPARATE_BONUS", "SEVERANCE", "EXEMPT")),
            _optional("order", _whole(0, 100_000)), _EFFECTIVE,
        ),
        key=("code", "effective_date"),
    ),
    Sheet(
        "employees",
        (
            Column("employee_number", _number), Column("legal_name", _name), _optional("birth_date", _date),
            _optional("national_id", _national_id), _optional("email", _email), _optional("phone", _phone),
            Column("hire_date", _date), _EMPLOYMENT_TYPE, *_ASSIGNMENT, *_PAY, *_STATUTORY,
            _optional("bank_account", _account), _optional("bank_code", _bank_code), _optional("bank_name", _name),
        ),
        key=("employee_number",),
        names=_PLACES,
    ),
    Sheet(
        "bank_accounts",
        (
            Column("employee_number", _number), _EFFECTIVE, Column("bank_account", _account),
            _optional("holder_name", _name), _optional("bank_code", _bank_code), _optional("bank_name", _name),
            _optional("amount", _wage), _optional("currency", _currency), _optional("share_percent", _percent),
        ),
        key=("employee_number", "effective_date", "bank_account"),
    ),
    Sheet(
        "transfers",
        (
            Column("employee_number", _number), _EFFECTIVE,
            *(_optional(column.name, column.read) for column in _ASSIGNMENT), _optional("reason", _text(200)),
        ),
        key=("employee_number", "effective_date"),
        names=_PLACES,
    ),
    Sheet(
        "compensation_changes",
        (
            Column("employee_number", _number), Column("effective_date", _date), Column("monthly_wage", _wage),
            _optional("currency", _currency), _optional("reason", _text(200)),
        ),
        key=("employee_number", "effective_date"),
    ),
    Sheet(
        "terminations",
        (
            Column("employee_number", _number), Column("last_day", _date),
            Column(
                "reason",
                _choice(
                    "RESIGNATION", "DISMISSAL", "REDUNDANCY", "END_OF_TERM", "MUTUAL_AGREEMENT", "RETIREMENT", "DEATH"
                ),
            ),
        ),
        key=("employee_number", "last_day"),
    ),
    Sheet(
        "rehires",
        (
            Column("employee_number", _number), Column("hire_date", _date), _EMPLOYMENT_TYPE, *_ASSIGNMENT, *_PAY,
            *_STATUTORY,
        ),
        key=("employee_number", "hire_date"),
        names=_PLACES,
    ),
    Sheet(
        "statutory_profiles",
        (Column("employee_number", _number), _EFFECTIVE, *_STATUTORY, _optional("reason", _text(200))),
        key=("employee_number", "effective_date"),
    ),
    Sheet(
        "punch_corrections",
        (
            Column("employee_number", _number), Column("punched_at", _instant),
            _optional("direction", _choice("IN", "OUT")), Column("reason", _text(200)),
        ),
        key=("employee_number", "punched_at"),
    ),
    Sheet(
        "overtime_requests",
        (
            Column("employee_number", _number), Column("work_date", _date), Column("minutes", _whole(1, 1440)),
            Column("reason", _text(200)),
        ),
        key=("employee_number", "work_date"),
    ),
    Sheet(
        "adjustments",
        (
            Column("employee_number", _number), Column("work_date", _date), Column("pay_code", _absence),
            Column("day_kind", _choice(*DAY_KINDS)), Column("minutes", _more_or_less),
            _optional("paid_share", _fraction), Column("reason", _text(200)),
        ),
        key=("employee_number", "work_date", "pay_code", "day_kind", "reason"),
    ),
    Sheet(
        "opening_balances",
        (
            Column("employee_number", _number), Column("period", _period), Column("gross", _wage),
            Column("deductions", _wage), Column("net", _amount), Column("income", _wage),
            Column("contributions", _wage), Column("special_additional", _wage), Column("tax", _wage),
            Column("months", _whole(1, 12)), Column("source", _text(200)), Column("source_date", _date),
        ),
        key=("employee_number", "period"),
    ),
    Sheet(
        "punches",
        (
            Column("employee_number", _number), Column("punched_at", _instant),
            _optional("direction", _choice("IN", "OUT")),
            _optional("source", _choice("WEB", "MOBILE", "DEVICE", "IMPORT")),
        ),
    ),
    Sheet(
        "absences",
        (
            Column("employee_number", _number), Column("date", _date), Column("code", _absence),
            _optional("paid_share", _fraction), _optional("minutes", _whole(0, 1440)),
        ),
        key=("employee_number", "date", "code"),
    ),
    Sheet(
        "pay_inputs",
        (
            Column("employee_number", _number), Column("period", _period), Column("component", _component),
            Column("amount", _amount), _optional("currency", _currency),
            _optional("run", _choice("REGULAR", "OFF_CYCLE")), _optional("note", _text(200)),
        ),
    ),
    Sheet(
        "reversals",
        (
            Column("pay_group", _code), Column("period", _period), Column("run", _choice("REGULAR", "OFF_CYCLE")),
            Column("reason", _text(200)),
        ),
        key=("pay_group", "period", "run"),
    ),
)  # fmt: skip
BY_NAME = {sheet.name: sheet for sheet in SHEETS}


# ---- files ----------------------------------------------------------------------------------------------------------


def read_company(folder: Path, limits: Limits = LIMITS) -> Company:
    """Everything that the folder says, checked row by row and across its files; problems instead of exceptions."""
    company = Company()
    if not folder.is_dir():
        company.problems.append(Problem(str(folder), 0, "", "this folder is not there; name the folder of CSV files"))
        return company
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv")[: MAX_FILES + 1]
    if not files or len(files) > MAX_FILES:
        told = f"it holds more than {MAX_FILES} CSV files" if files else f"it holds no CSV file; known are {_known()}"
        company.problems.append(Problem(str(folder), 0, "", told))
        return company
    for path in files:
        sheet = BY_NAME.get(path.stem)
        if sheet is None:
            close = get_close_matches(path.stem, BY_NAME, 1)
            hint = f"did you mean {close[0]}.csv?" if close else f"known are {_known()}"
            company.problems.append(Problem(path.name, 0, "", f"no such file is known; {hint}"))
            continue
        company.rows[sheet.name] = list(_rows(sheet, path, limits, company.problems))
        if len(company.problems) >= limits.problems:
            return company
    if not company.problems:
        company.problems.extend(_across(company))
    return company


def _known() -> str:
    return ", ".join(sheet.file for sheet in SHEETS)


def _rows(sheet: Sheet, path: Path, limits: Limits, problems: list[Problem]) -> Iterator[Row]:
    text = _decoded(sheet, path, limits, problems)
    if text is None:
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = _lines(sheet, reader, problems)
    header = next(lines, None)
    if header is None:
        problems.append(Problem(sheet.file, 1, "", "the file is empty; write a header and a row per entry"))
        return
    columns = _columns(sheet, header[1], problems)
    if columns is None:
        return
    seen: dict[tuple[Any, ...], int] = {}
    for count, (line, cells) in enumerate(lines):
        if count >= limits.rows:
            problems.append(Problem(sheet.file, line, "", f"a file has at most {limits.rows:,} rows; split it"))
            return
        if len(problems) >= limits.problems:
            return
        row = _row(sheet, columns, line, cells, problems)
        if row is None:
            continue
        if sheet.key:
            key = tuple(row[name] for name in sheet.key)
            if key in seen:
                named = ", ".join(f"{name} {value}" for name, value in zip(sheet.key, key, strict=True))
                problems.append(row.problem(f"{named} stands in line {seen[key]} already; keep one of them"))
                continue
            seen[key] = line
        yield row


def _decoded(sheet: Sheet, path: Path, limits: Limits, problems: list[Problem]) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(limits.file_bytes + 1)
    except OSError as error:
        problems.append(Problem(sheet.file, 0, "", f"it cannot be read ({error.strerror})"))
        return None
    if len(raw) > limits.file_bytes:
        problems.append(Problem(sheet.file, 0, "", f"a file has at most {limits.file_bytes >> 20} MiB; split it"))
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.append(Problem(sheet.file, line, "", f"it is not UTF-8; {SAVE_AS}"))
        return None
    if "\0" in text:
        problems.append(Problem(sheet.file, 0, "", f"it is no text; {SAVE_AS}"))
        return None
    return text


def _lines(sheet: Sheet, reader: Any, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, with their line."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            told = f"the quotes do not match up ({error}); mend them"
            problems.append(Problem(sheet.file, reader.line_num, "", told))
            return
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield reader.line_num, cells


def _columns(sheet: Sheet, header: Sequence[str], problems: list[Problem]) -> list[Column] | None:
    known = {column.name: column for column in sheet.columns}
    names = [name.lower().replace(" ", "_") for name in header]
    found: list[Column] = []
    wrong = False
    if len(names) == 1 and any(mark in names[0] for mark in (";", "\t")):
        problems.append(Problem(sheet.file, 1, "", f"separate the columns by commas; {SAVE_AS}"))
        return None
    for place, name in enumerate(names):
        column = known.get(name)
        if column is None:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            told = f"column {place + 1} has no name" if not name else "there is no such column"
            problems.append(Problem(sheet.file, 1, _shown(name), f"{told}; {hint}"))
            wrong = True
        elif column in found:
            problems.append(Problem(sheet.file, 1, name, "this column stands twice; keep one"))
            wrong = True
        else:
            found.append(column)
    for column in sheet.columns:
        if column.required and column.name not in names:
            problems.append(Problem(sheet.file, 1, column.name, "this column is missing; add it"))
            wrong = True
    return None if wrong else found


def _row(
    sheet: Sheet, columns: Sequence[Column], line: int, cells: Sequence[str], problems: list[Problem]
) -> Row | None:
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        told = f"the row has {len(cells)} cells for {len(columns)} columns; put text with a comma in quotes"
        problems.append(Problem(sheet.file, line, "", told))
        return None
    values: dict[str, Any] = {column.name: None for column in sheet.columns}
    fine = True
    for place, column in enumerate(columns):
        text = cells[place] if place < len(cells) else ""
        try:
            if not text:
                if column.required:
                    raise ValueError("this cell is empty; it is needed")
                continue
            if len(text) > MAX_CELL or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
                raise ValueError("write one line of text")
            values[column.name] = column.read(text)
        except ValueError as error:
            told = f"{_shown(text)!r} cannot be used: {error}" if text else str(error)
            problems.append(Problem(sheet.file, line, column.name, told))
            fine = False
    return Row(sheet.file, line, values) if fine else None


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_OF_A_VALUE else text[:SHOWN_OF_A_VALUE] + "..."


# ---- across files ---------------------------------------------------------------------------------------------------


def _across(company: Company) -> Iterator[Problem]:
    for sheet in SHEETS:
        for column, other, other_column in sheet.names:
            if other not in company.rows:
                continue  # then the backend has it already, or says that it has not
            there = {row[other_column] for row in company.rows[other]}
            for row in company.of(sheet.name):
                if row[column] is not None and row[column] not in there:
                    close = get_close_matches(row[column], there, 1)
                    hint = f"; did you mean {close[0]}?" if close else ""
                    yield row.problem(f"{row[column]} is not in {other}.csv{hint}", column)
    yield from _circles(company.of("departments"), "code", "parent")
    yield from _circles(company.of("employees"), "employee_number", "manager")
    for row in company.of("shifts"):
        for name, what in (("break", "a break"), ("second", "a second part"), ("core", "a core time")):
            if (row[f"{name}_start"] is None) != (row[f"{name}_end"] is None):
                yield row.problem(f"{what} has a start and an end, or neither", f"{name}_end")
        if row["flexible_minutes"] is None and (row["core_start"] or row["break_minutes"]):
            yield row.problem("only flexible hours have a core time or break_minutes; write them", "flexible_minutes")
    shifts = {row["code"] for row in company.of("shifts")}
    for row in company.of("work_schedules"):
        if (row["rotation"] is None) != (row["rotation_start"] is None):
            yield row.problem("a rotation has its shifts and the day on which it starts, or neither", "rotation_start")
        if row["rotation"] and any(row[day] for day in SHORT_DAYS):
            yield row.problem("write the shifts by weekday or as a rotation, not both", "rotation")
        for code in dict.fromkeys(row["rotation"] or ()):
            if code is not None and code not in shifts and "shifts" in company.rows:
                yield row.problem(f"{code} is not in shifts.csv", "rotation")
    for name in ("employees", "rehires"):
        for row in company.of(name):
            if (row["monthly_wage"] is None) != (row["currency"] is None):
                yield row.problem("write monthly_wage and currency together", "currency")
    for row in company.of("employees"):
        if row["bank_account"] is None and (row["bank_code"] or row["bank_name"]):
            yield row.problem("a bank is named without an account; write its number", "bank_account")
    for row in company.of("bank_accounts"):
        if (row["amount"] is None) != (row["currency"] is None):
            yield row.problem("write amount and currency together", "currency")
    if "employees" in company.rows:
        yield from _dates(company)


def _circles(rows: Sequence[Row], own: str, above: str) -> Iterator[Problem]:
    """Rows that stand above themselves."""
    over = {row[own]: row[above] for row in rows}
    clear: set[str] = set()
    for row in rows:
        path: dict[str, None] = {}
        at: str | None = row[own]
        while at is not None and at in over and at not in clear and at not in path:
            path[at] = None
            at = over[at]
        if at is None or at not in path:
            clear.update(path)
        elif at == row[own]:
            circle = [*path, at]
            yield row.problem(f"{' -> '.join(circle[:6])} is a circle; correct one of them", above)


def _dates(company: Company) -> Iterator[Problem]:
    """Changes of people outside their employment, as far as this folder knows them."""
    hired = {row["employee_number"]: row["hire_date"] for row in company.of("employees")}
    dated = {
        "compensation_changes": "effective_date", "bank_accounts": "effective_date", "transfers": "effective_date",
        "statutory_profiles": "effective_date", "terminations": "last_day", "absences": "date",
    }  # fmt: skip
    for name, column in dated.items():
        for row in company.of(name):
            start = hired.get(row["employee_number"])
            if start is not None and row[column] < start:
                yield row.problem(f"{row['employee_number']} was hired later, on {start}", column)


# ---- what the loader asks -------------------------------------------------------------------------------------------


def by_level(rows: Iterable[Row], own: str, above: str) -> list[list[Row]]:
    """The rows in layers: what names none of these rows first, then what names only rows before."""
    left = list(rows)
    layers: list[list[Row]] = []
    waiting = {row[own] for row in left}
    while left:
        layer = [row for row in left if row[above] not in waiting or row[above] == row[own]]
        if not layer:  # a circle: the check names it, and the backend refuses it
            return [*layers, left]
        layers.append(layer)
        waiting -= {row[own] for row in layer}
        left = [row for row in left if row[own] in waiting]
    return layers


def equal_amounts(one: str, other: str) -> bool:
    """Whether two decimal strings are the same amount: 20000 and 20000.00 are."""
    return Decimal(one) == Decimal(other)
