"""Every published worked case of China, to the fen, through the functions that payslips call."""

import ast
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from chassis.worked_cases import MAX_BYTES, CasesUnreadable, TopicUnknown, WorkedCase, read_cases
from contexts.payroll.adapters import worked_cases
from contexts.payroll.adapters.worked_cases import check
from contexts.payroll.domain.statutory import ChinaPack, pack
from contexts.payroll.domain.statutory.cn.tables import TABLES
from interfaces.cli import verify_cases as command

ROOT = Path(__file__).parents[4]
FILE = ROOT / "tests" / "data" / "cases_cn.json"  # each case names its source
CASES = read_cases(FILE.read_bytes())
REQUIRED = ("payslip", "iit_withholding", "iit_annual", "annual_bonus", "si_base", "proration")

A_CASE = {
    "id": "A",
    "topic": "annual_bonus",
    "kind": "separate",
    "inputs": {"annual_bonus": 36000},
    "expected": {"bonus_iit": 1080},
}


def written(tmp_path: Path, *cases: object, text: str | None = None) -> Path:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(list(cases)) if text is None else text, encoding="utf-8")
    return path


def ran(*paths: Path, topics: Sequence[str] | None = None, as_json: bool = False) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = command.verify_cases(paths, topics, out, as_json)
    return code, out.getvalue().splitlines()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_case_is_met_exactly(case: WorkedCase) -> None:
    report = check([case])

    assert report.differences == ()
    assert (report.matched, report.cases) == (1, 1)


@pytest.mark.parametrize("topic", REQUIRED)
def test_the_topic_has_cases_and_all_match(topic: str) -> None:
    code, lines = ran(FILE, topics=[topic])

    count = sum(case.topic == topic for case in CASES)
    assert count > 0
    assert (code, lines[-1]) == (0, f"matched {count} of {count}")


@pytest.mark.parametrize(
    ("key", "column", "value"),
    [
        ("iit.annual_table@2019-01-01#1", "rate", "0.0301"),
        ("iit.annual_table@2019-01-01#2", "quick_deduction", "2519.99"),
        ("iit.annual_table@2019-01-01#1", "up_to", "30000"),
        ("iit.annual_table@2019-01-01#4", "rate", "0.26"),
        ("iit.monthly_table@2019-01-01#1", "up_to", "3000.10"),
        ("iit.monthly_table@2019-01-01#7", "quick_deduction", "15161"),
        ("iit.basic_deduction_month@2019-01-01#1", "amount", "5001"),
        ("iit.annual_bonus_separate@2019-01-01#1", "months", "11"),
        ("iit.first_job_in_year@2020-07-01#1", "from_month", "2"),
        ("iit.comprehensive@2019-01-01#1", "taken_of_labour", "0.7"),
        ("labour.days@2025-01-01#1", "paid_days_month", "21.76"),
        ("labour.days@2025-01-01#1", "working_days_month", "20.83"),
        ("labour.overtime@1995-01-01#1", "workday", "1.51"),
        ("social_insurance.own_average@1998-01-01#1", "highest_share", "3.1"),
        ("social_insurance.base.pension:SHANGHAI@2026-07-01#1", "ceiling", "37732"),
        ("social_insurance.base.pension:SHANGHAI@2025-07-01#1", "floor", "7461"),
        ("social_insurance.base.medical:KUNMING@2025-01-01#1", "floor", "4358"),
        ("social_insurance.base.medical:KUNMING@2026-09-01#1", "ceiling", "22018"),
        ("social_insurance.rate.unemployment:KUNMING@2025-01-01#1", "employee", "0.004"),
        ("social_insurance.rate.maternity:KUNMING@2025-01-01#1", "employer", "0.01"),
        ("housing_fund.base:SHANGHAI@2026-07-01#1", "ceiling", "37000"),
        ("housing_fund.base:KUNMING/I@2026-01-01#1", "ceiling", "32600"),
    ],
)
def test_one_altered_table_row_is_noticed(key: str, column: str, value: str) -> None:
    altered = ChinaPack(TABLES.altered(key, column, Decimal(value)))

    report = check([case for case in CASES if case.topic in REQUIRED], china=altered)

    assert report.matched < report.cases
    assert altered.version != pack("CN").version


def test_almost_every_value_that_a_wage_tax_rests_on_is_noticed() -> None:
    unnoticed = []
    for row in TABLES.rows:
        if not row.table.startswith(("iit.annual_table", "iit.monthly_table", "social_insurance.rate")):
            continue
        for column, value in row.values:
            if column not in ("over", "up_to"):
                change = Decimal(1) if column == "quick_deduction" else Decimal("0.001")
                altered = ChinaPack(TABLES.altered(row.key, column, value + change))
                report = check([case for case in CASES if case.topic in REQUIRED], china=altered)
                if report.matched == report.cases:
                    unnoticed.append((row.key, column))

    # These rows of the annual table are reached by no case; the next test looks at them.
    assert {key for key, _ in unnoticed} <= {f"iit.annual_table@2019-01-01#{row}" for row in (3, 5, 6, 7)}


def test_no_case_id_stands_in_the_source() -> None:
    ids = [case.id for case in CASES]

    for folder in ("contexts", "interfaces", "application", "chassis", "kernel"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert [id for id in ids if id in text] == [], path


def test_the_shapes_hold_no_arithmetic_and_no_rates() -> None:
    tree = ast.parse(Path(worked_cases.__file__).read_text(encoding="utf-8"))
    shapes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.args.args and node.args.args[0].arg == "statutory"
    ]

    assert len(shapes) >= 20
    for node in (inner for shape in shapes for inner in ast.walk(shape)):
        assert not isinstance(node, ast.BinOp | ast.AugAssign)
        assert not (isinstance(node, ast.Name) and node.id == "Decimal" and isinstance(node.ctx, ast.Store))
        assert not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Decimal")


def test_a_wrong_number_is_shown_with_its_case_and_key_and_fails(tmp_path: Path) -> None:
    wrong = {**A_CASE, "expected": {"bonus_iit": 1080.01}}

    code, lines = ran(written(tmp_path, wrong))

    assert code == 1
    assert lines[0] == "A bonus_iit: expected 1080.01, got 1080.00"
    assert lines[-1] == "matched 0 of 1"


def test_values_are_compared_by_value_and_null_is_not_stated(tmp_path: Path) -> None:
    case = {**A_CASE, "expected": {"bonus_iit": 1080.000, "unheard_of": None}}

    code, lines = ran(written(tmp_path, case))

    assert (code, lines[-1]) == (0, "matched 1 of 1")


@pytest.mark.parametrize(
    "changes",
    [
        {"topic": "weather"},
        {"kind": "together"},
        {"inputs": {"annual_bonus": 36000, "moon_phase": 1}},
        {"inputs": {"annual_bonus": "36000"}},
        {"inputs": {}},
        {"inputs": {"annual_bonus": 1e300}},
        {"expected": {"bonus_iit": "1080"}},
        {"expected": {"bonus_iit": True}},
        {"expected": {"something_else": 1}},
        {"expected": {}},
    ],
)
def test_what_is_not_understood_is_reported_and_never_passed(tmp_path: Path, changes: dict[str, object]) -> None:
    code, lines = ran(written(tmp_path, {**A_CASE, **changes}))

    assert code == 1
    assert lines[0].startswith("A")
    assert lines[-1] == "matched 0 of 1"


def test_a_repeated_id_fails(tmp_path: Path) -> None:
    code, lines = ran(written(tmp_path, A_CASE, A_CASE))

    assert (code, lines[-1]) == (1, "matched 1 of 2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '[{"id": 1}]',
        '[{"id": "A", "topic": "t", "kind": "k", "inputs": [], "expected": {}}]',
        '[{"id": "A", "id": "B"}]',
        "[NaN]",
        "[" * 100_000,
        "[1e99999999999999999999]",
    ],
)
def test_a_file_that_is_no_list_of_cases_is_refused(tmp_path: Path, text: str) -> None:
    code, lines = ran(written(tmp_path, text=text))

    assert code == 2
    assert lines[0].startswith("error: ")
    assert lines[-1] == "matched 0 of 0"


def test_a_missing_file_fails_even_when_the_others_match(tmp_path: Path) -> None:
    code, lines = ran(FILE, tmp_path / "absent.json")

    assert code == 2
    assert "absent.json" in lines[0]
    assert lines[-1] == f"matched {len(CASES)} of {len(CASES)}"


def test_no_case_at_all_fails(tmp_path: Path) -> None:
    code, lines = ran(written(tmp_path))

    assert (code, lines) == (2, ["error: there is no case to compute", "matched 0 of 0"])


def test_an_unknown_topic_fails_and_names_the_known_ones() -> None:
    code, lines = ran(FILE, topics=["weather"])

    assert code == 2
    assert "payslip" in lines[0]
    with pytest.raises(TopicUnknown):
        check(CASES, ["payslip", "weather"])


def test_too_many_bytes_or_cases_are_refused() -> None:
    with pytest.raises(CasesUnreadable):
        read_cases(b" " * (MAX_BYTES + 1))
    with pytest.raises(CasesUnreadable):
        read_cases(FILE.read_bytes(), room=len(CASES) - 1)


def test_json_carries_the_same_outcome(tmp_path: Path) -> None:
    code, lines = ran(written(tmp_path, A_CASE, {**A_CASE, "id": "B", "expected": {"bonus_iit": 1}}), as_json=True)

    told = json.loads("\n".join(lines))
    assert code == 1
    assert (told["matched"], told["total"], told["errors"]) == (1, 2, [])
    assert told["topics"] == [{"topic": "annual_bonus", "matched": 1, "total": 2}]
    assert told["differences"][0]["case"] == "B"


def test_the_command_takes_files_and_topics() -> None:
    app = typer.Typer()
    app.command("verify-cases")(command.verify_cases_command)

    done = CliRunner().invoke(app, [str(FILE), "--topic", "proration", "--topic", "si_base"])

    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "matched 3 of 3"
