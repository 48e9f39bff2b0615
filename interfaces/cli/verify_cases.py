"""`muster verify-cases`: recompute worked cases of the statutory rules and show every difference."""

import json as json_text
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    from chassis import worked_cases

MAX_FILES = 1000
DIFFERENT, UNREADABLE = 1, 2


def verify_cases(files: Sequence[Path], topics: Sequence[str] | None, out: TextIO, as_json: bool = False) -> int:
    """Recompute the cases of the files (all topics, or these), print the outcome, answer the exit code: 0 = all match.

    1: a case differs. 2: a file cannot be read, a topic is unknown, or there is no case at all.
    """
    # Imported here, so that starting any other command does not load the packs.
    from chassis import worked_cases

    problems: list[str] = []
    cases: list[worked_cases.WorkedCase] = []
    if len(files) > MAX_FILES:
        problems.append(f"give at most {MAX_FILES} files at a time")
    for path in files[:MAX_FILES]:
        try:
            with path.open("rb") as source:
                cases += worked_cases.read_cases(
                    source.read(worked_cases.MAX_BYTES + 1), room=worked_cases.MAX_CASES - len(cases)
                )
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
        except worked_cases.CasesUnreadable as refused:
            problems.append(f"{path}: {refused.message}")
    report = worked_cases.Report((), ())
    try:
        report = worked_cases.check(cases, _shapes(), topics)
    except worked_cases.TopicUnknown as refused:
        problems.append(refused.message)
    if not report.cases and not problems:
        problems.append("there is no case to compute")

    if as_json:
        _print_json(report, problems, out)
    else:
        _print_text(report, problems, out)
    if problems:
        return UNREADABLE
    return 0 if report.matched == report.cases else DIFFERENT


def _shapes() -> "worked_cases.Shapes":
    """What timesheets and payslips can recompute, and what it takes both of them for."""
    from contexts.attendance.adapters import worked_cases as time
    from contexts.payroll.adapters import worked_cases as pay

    def overtime_class(inputs: "worked_cases.Inputs") -> "worked_cases.Answer":
        day = inputs.day("date")
        kind = time.day_kind(day).value
        return {"working_day": kind == "WORKDAY", "overtime_multiplier": pay.overtime_multiplier(kind, day)}

    return {**pay.shapes(), **time.SHAPES, ("cn_overtime_class", "standard_hours"): overtime_class}


def verify_cases_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of worked cases (JSON lists).")],
    topic: Annotated[list[str] | None, typer.Option("--topic", help="Only this topic; may be given again.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Recompute worked cases with the functions that timesheets and payslips call; exit 0 only when all match."""
    topics = [name for text in topic or () for name in text.split(",") if name]
    raise typer.Exit(verify_cases(files, topics or None, sys.stdout, json))


def _print_text(report: "worked_cases.Report", problems: Sequence[str], out: TextIO) -> None:
    for problem in problems:
        print(f"error: {problem}", file=out)
    for found in report.differences:
        key = f" {found.key}" if found.key else ""
        print(f"{found.case_id}{key}: expected {found.expected}, got {found.got}", file=out)
    if report.totals:
        width = max(len("topic"), *(len(topic) for topic, _, _ in report.totals))
        print(f"{'topic':<{width}}  {'matched':>7}  {'cases':>5}", file=out)
        for topic, matched, total in report.totals:
            print(f"{topic:<{width}}  {matched:>7}  {total:>5}", file=out)
    print(f"matched {report.matched} of {report.cases}", file=out)


def _print_json(report: "worked_cases.Report", problems: Sequence[str], out: TextIO) -> None:
    document = {
        "matched": report.matched,
        "total": report.cases,
        "topics": [{"topic": topic, "matched": matched, "total": total} for topic, matched, total in report.totals],
        "differences": [
            {
                "case": found.case_id,
                "topic": found.topic,
                "key": found.key,
                "expected": found.expected,
                "got": found.got,
            }
            for found in report.differences
        ],
        "errors": list(problems),
    }
    print(json_text.dumps(document, ensure_ascii=False), file=out)
