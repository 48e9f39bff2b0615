"""A company's CSV files are read as people write them, and every mistake is named by file, line and column."""

import re
import shutil
from pathlib import Path

import pytest

from interfaces.cli import company_files
from interfaces.cli.company_files import Company, Limits, by_level, read_company

SAMPLE = Path(__file__).resolve().parents[2] / "sample"
DEPARTMENTS = "code,name,parent,effective_date\nHQ,Headquarters,,2019-01-01\nENG,Engineering,HQ,2019-01-01\n"
PUNCHES = "employee_number,punched_at,direction,source\n"


def read(folder: Path, **files: str | bytes) -> Company:
    for name, content in files.items():
        (folder / f"{name}.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_company(folder)


def told(company: Company) -> list[str]:
    return [str(problem) for problem in company.problems]


def test_the_sample_company_has_no_problem() -> None:
    company = read_company(SAMPLE)

    assert told(company) == []
    assert len(company.of("employees")) == 200
    assert len(company.of("punches")) == 7447
    for later in sorted((SAMPLE / "later").iterdir()):
        assert told(read_company(later)) == []


def test_every_file_and_column_stands_in_the_documentation() -> None:
    lines = (SAMPLE.parent / "docs" / "import.md").read_text(encoding="utf-8").splitlines()
    told = {line.split("`")[1]: line for line in lines if line.startswith("| `")}

    assert set(told) == {sheet.file for sheet in company_files.SHEETS}
    for sheet in company_files.SHEETS:
        if sheet.name == "rehires":  # as employees.csv
            continue
        named = [
            part.split("(")[0].strip() for part in re.sub(r"\([^)]*\)", "", told[sheet.file]).split("|")[3].split(",")
        ]
        assert named == [column.name if column.required else f"*{column.name}*" for column in sheet.columns]


def test_the_sample_is_what_its_script_writes(tmp_path: Path) -> None:
    shutil.copy(SAMPLE / "make_sample.py", tmp_path)

    exec(compile((tmp_path / "make_sample.py").read_text(), str(tmp_path / "make_sample.py"), "exec"), {
        "__name__": "__main__", "__file__": str(tmp_path / "make_sample.py")
    })  # fmt: skip

    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.csv")}
    assert written == {path.relative_to(SAMPLE): path.read_bytes() for path in SAMPLE.rglob("*.csv")}


def test_a_byte_order_mark_blank_rows_spaces_and_carriage_returns_do_not_matter(tmp_path: Path) -> None:
    content = "\ufeffCode, Name ,parent,Effective Date\r\n\r\n HQ ,Headquarters,,2019/1/1\r\n,,,\r\n"

    company = read(tmp_path, departments=content)

    assert told(company) == []
    assert [dict(row.values) for row in company.of("departments")] == [
        {"code": "HQ", "name": "Headquarters", "parent": None, "effective_date": "2019-01-01"}
    ]


def test_amounts_may_have_commas_between_thousands(tmp_path: Path) -> None:
    content = 'employee_number,effective_date,monthly_wage\nE1,2026-10-19,"24,000.50"\n'

    company = read(tmp_path, compensation_changes=content)

    assert company.of("compensation_changes")[0]["monthly_wage"] == "24000.50"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "code,name,parent,effective_day\nHQ,H,,2019-01-01\n",
            [
                "departments.csv line 1, column effective_day: there is no such column; did you mean effective_date?",
                "departments.csv line 1, column effective_date: this column is missing; add it",
            ],
        ),
        ("code;name;parent\nHQ;H;\n", ["departments.csv line 1: separate the columns by commas"]),
        ("", ["departments.csv line 1: the file is empty"]),
        (
            DEPARTMENTS + "HQ,Again,,2019-01-01\n",
            ["departments.csv line 4: code HQ, effective_date 2019-01-01 stands in line 2 already"],
        ),
        (
            DEPARTMENTS + "OPS,Operations,HQQ,2019-01-01\n",
            ["departments.csv line 4, column parent: HQQ is not in departments.csv; did you mean HQ?"],
        ),
        (
            "code,name,parent,effective_date\nA,A,B,2019-01-01\nB,B,A,2019-01-01\nC,C,A,2019-01-01\n",
            [
                "departments.csv line 2, column parent: A -> B -> A is a circle",
                "departments.csv line 3, column parent: B -> A -> B is a circle",
            ],
        ),
        (
            DEPARTMENTS + "O P S,Operations,,2019-02-29\n",
            [
                "departments.csv line 4, column code: 'O P S' cannot be used: write a code",
                "departments.csv line 4, column effective_date: '2019-02-29' cannot be used: write a date that exists",
            ],
        ),
        (DEPARTMENTS + ",Nameless,,2019-01-01\n", ["departments.csv line 4, column code: this cell is empty"]),
        (DEPARTMENTS + "X,One, two,HQ,2019-01-01\n", ["departments.csv line 4: the row has 5 cells for 4 columns"]),
        (DEPARTMENTS + 'X,"Open\n', ["departments.csv line 4: the quotes do not match up"]),
        ("code,name,code,effective_date\n", ["departments.csv line 1, column code: this column stands twice"]),
        ("编号,名称\n".encode("gbk"), ["departments.csv line 1: it is not UTF-8; save it as 'CSV UTF-8"]),
        (b"\x00\x01", ["departments.csv: it is no text"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_and_what_to_do(
    tmp_path: Path, content: str | bytes, expected: list[str]
) -> None:
    company = read(tmp_path, departments=content)

    found = told(company)
    assert len(found) == len(expected), found
    for message, beginning in zip(found, expected, strict=True):
        assert message.startswith(beginning)


@pytest.mark.parametrize(
    ("sheet", "row", "column"),
    [
        ("punches", "E1,2026-10-01 09:00,IN,DEVICE", "punched_at"),
        ("punches", "E1,2026-10-01T25:00:00+08:00,IN,DEVICE", "punched_at"),
        ("punches", "E1,2026-10-01T09:00:00+08:00,SIDEWAYS,DEVICE", "direction"),
        ("pay_inputs", "E1,2026-13,BONUS,1.00,CNY,,", "period"),
        ("pay_inputs", "E1,2026-10,BONUS,1.005,CNY,,", "amount"),
        ("pay_inputs", "E1,2026-10,BONUS,NaN,CNY,,", "amount"),
        ("absences", "E1,2026-10-22,UNPAID,1.5,", "paid_share"),
        ("locations", "SH,Shanghai,CN,Asia/Shangai,,2019-01-01", "time_zone"),
        ("terminations", "E1,2026-10-20,BORED", "reason"),
        ("compensation_changes", "E1,2026-10-19,-1,CNY,", "monthly_wage"),
        ("shifts", f"DAY,Day,9 o'clock,18:00{',' * 14}2019-01-01", "start"),
        ("shifts", f"DAY,Day,09:00,18:00{',' * 10}UP A BIT,,,,2019-01-01", "in_rounding"),
        ("work_schedules", f"R,Rotation{',' * 8}EARLY; LATE,2019-01-01{',' * 6}2019-01-01", "rotation"),
        ("bank_accounts", "E1,2026-10-01,12,,,,,,", "bank_account"),
        ("bank_accounts", "E1,2026-10-01,99990001,,,,,,140", "share_percent"),
        ("pay_inputs", "E1,2026-10,BONUS,1.00,CNY,SOMETIMES,", "run"),
        ("adjustments", "E1,2026-10-28,ABSENT,WORKDAY,0,,a reason", "minutes"),
        ("overtime_requests", "E1,2026-10-28,two hours,a reason", "minutes"),
        ("punch_corrections", "E1,2026-10-28 18:00,OUT,a reason", "punched_at"),
        ("reversals", "CN-MONTHLY,2026-10,OPENING,a reason", "run"),
        ("statutory_profiles", "E1,2026-10-16,,NOTHING,,,,,,", "social_insurance_base"),
        ("positions", "P,Position,many,,2019-01-01", "headcount"),
    ],
)
def test_a_value_of_a_wrong_kind_is_named(tmp_path: Path, sheet: str, row: str, column: str) -> None:
    header = ",".join(each.name for each in company_files.BY_NAME[sheet].columns)

    company = read(tmp_path, **{sheet: f"{header}\n{row}\n"})

    assert [(problem.line, problem.column) for problem in company.problems] == [(2, column)]


def test_a_file_that_is_not_known_is_named_with_the_likely_one(tmp_path: Path) -> None:
    company = read(tmp_path, employes="a\n1\n")

    assert told(company) == ["employes.csv: no such file is known; did you mean employees.csv?"]


def test_an_empty_folder_and_a_missing_one_are_named(tmp_path: Path) -> None:
    nothing, missing = read_company(tmp_path), read_company(tmp_path / "none")

    assert "it holds no CSV file" in told(nothing)[0]
    assert "this folder is not there" in told(missing)[0]


def test_a_file_and_its_rows_are_bounded(tmp_path: Path) -> None:
    rows = "".join(f"E1,2026-10-01T09:00:{second:02}+08:00,IN,DEVICE\n" for second in range(4))
    (tmp_path / "punches.csv").write_text(PUNCHES + rows)

    too_many = read_company(tmp_path, Limits(rows=3))
    too_large = read_company(tmp_path, Limits(file_bytes=64))

    assert "at most 3 rows" in told(too_many)[0]
    assert "a file has at most" in told(too_large)[0]


def test_problems_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "punches.csv").write_text(PUNCHES + "E1,never,IN,DEVICE\n" * 1000)

    company = read_company(tmp_path, Limits(problems=10))

    assert len(company.problems) == 10


def test_a_change_before_the_hire_is_named(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "company")
    (tmp_path / "company" / "terminations.csv").write_text("employee_number,last_day,reason\nE0029,2026-10-01,DEATH\n")

    company = read_company(tmp_path / "company")

    assert told(company) == [
        "terminations.csv line 2, column last_day: E0029 was hired later, on 2026-10-12"
    ]  # fmt: skip


def test_managers_come_before_those_who_report_to_them() -> None:
    company = read_company(SAMPLE)

    layers = by_level(company.of("employees"), "employee_number", "manager")

    placed: set[str] = set()
    for layer in layers:
        assert all(row["manager"] is None or row["manager"] in placed for row in layer)
        placed |= {row["employee_number"] for row in layer}
    assert len(placed) == 200
