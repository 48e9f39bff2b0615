"""Every published worked case of working time, exactly, through the functions that timesheets are computed with."""

import ast
import io
from pathlib import Path

import pytest

from chassis.worked_cases import WorkedCase, check, read_cases
from contexts.attendance.adapters import worked_cases
from interfaces.cli.verify_cases import verify_cases

FILE = Path(__file__).parents[2] / "data" / "cases_time.json"  # each case names its source
TOPICS = ("dst_overnight", "rounding", "midnight_split", "checkin_hours", "cn_calendar", "cn_overtime_class")
CASES = [case for case in read_cases(FILE.read_bytes()) if (case.topic, case.kind) in worked_cases.SHAPES]


def a_case(topic: str, kind: str, inputs: dict[str, object], expected: dict[str, object]) -> WorkedCase:
    return WorkedCase("A", topic, kind, inputs, expected)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_case_is_met_exactly(case: WorkedCase) -> None:
    report = check([case], worked_cases.SHAPES)

    assert report.differences == ()
    assert (report.matched, report.cases) == (1, 1)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_command_knows_the_topic_and_all_its_cases_match(topic: str) -> None:
    out = io.StringIO()

    code = verify_cases([FILE], [topic], out)

    count = sum(case.topic == topic for case in read_cases(FILE.read_bytes()))
    assert count > 0
    assert (code, out.getvalue().splitlines()[-1]) == (0, f"matched {count} of {count}")


@pytest.mark.parametrize(
    "case",
    [
        a_case("rounding", "time_of_day", {"mode": "sideways"}, {"rounded": "08:00"}),
        a_case("cn_calendar", "year_counts", {"year": 1492}, {"working_days_year": 1}),
        a_case("checkin_hours", "strict", {"method": "by_guess", "logs": []}, {"hours": 1}),
        a_case("dst_overnight", "elapsed", {"time_zone": "Nowhere/At_all", "punches": []}, {"hours_worked": 1}),
    ],
)
def test_what_is_not_understood_is_a_difference(case: WorkedCase) -> None:
    report = check([case], worked_cases.SHAPES)

    assert report.matched == 0


def test_the_shapes_hold_no_arithmetic() -> None:
    tree = ast.parse(Path(worked_cases.__file__).read_text(encoding="utf-8"))
    shapes = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.args.args[0].arg == "inputs"
    ]

    assert len(shapes) >= 6
    for node in (inner for shape in shapes for inner in ast.walk(shape)):
        timed = isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Mult | ast.BitOr)
        assert not timed
        assert not isinstance(node, ast.AugAssign)
