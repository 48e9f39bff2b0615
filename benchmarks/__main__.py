"""`python -m benchmarks [NAME...]`: measures, prints the table and writes results.json."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Callable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _as_installed() -> None:
    """Child processes keep bytecode, as those of an installed package do; it stays out of the source tree."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("PYTHONPYCACHEPREFIX", os.path.join(ROOT, "build", "bytecode"))


_as_installed()

from rich.console import Console  # noqa: E402

from benchmarks.employee_read import employee_reads  # noqa: E402
from benchmarks.figure import Figure, keep, show  # noqa: E402
from benchmarks.following import following  # noqa: E402
from benchmarks.gateway import gateways  # noqa: E402
from benchmarks.mesh import failovers  # noqa: E402
from benchmarks.overload import overload  # noqa: E402
from benchmarks.payroll_run import payroll_runs  # noqa: E402
from benchmarks.payslip import payslips  # noqa: E402
from benchmarks.punching import punches  # noqa: E402
from benchmarks.push import streams  # noqa: E402
from benchmarks.rpc import calls  # noqa: E402
from benchmarks.start import starts  # noqa: E402
from benchmarks.time_office import time_office  # noqa: E402
from benchmarks.up import whole_form  # noqa: E402

BENCHMARKS: dict[str, Callable[[argparse.Namespace], AsyncIterator[Figure]]] = {
    "payslip": lambda asked: payslips(small=asked.small),
    "start": lambda asked: starts(small=asked.small),
    "read": lambda asked: employee_reads(small=asked.small),
    "payroll": lambda asked: payroll_runs(small=asked.small, large=asked.large),
    "punches": lambda asked: punches(small=asked.small),
    "overload": lambda asked: overload(small=asked.small),
    "rpc": lambda asked: calls(small=asked.small),
    "push": lambda asked: streams(small=asked.small),
    "events": lambda asked: following(small=asked.small),
    "time": lambda asked: time_office(small=asked.small),
    "gateway": lambda asked: gateways(small=asked.small),
    "mesh": lambda asked: failovers(small=asked.small),
    "up": lambda asked: whole_form(small=asked.small),
}


async def measured(asked: argparse.Namespace, console: Console) -> list[Figure]:
    """The figures of the benchmarks asked for, each told as soon as it is known."""
    figures = []
    for name in asked.names or BENCHMARKS:
        console.print(f"[dim]measuring {name} ...[/dim]")
        async for figure in BENCHMARKS[name](asked):
            told = "" if figure.ratio is None else f", {figure.ratio:.2f}x the floor"
            console.print(f"  {figure.name}: {figure.value:,.3g} {figure.unit}{told}", highlight=False)
            figures.append(figure)
    return figures


def main() -> int:
    """Exit code 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="all where none is named")
    parser.add_argument(
        "--small", action="store_true", help="little work, one round, nothing kept: does it run at all?"
    )
    parser.add_argument("--large", action="store_true", help="the payroll run at 100,000 employees too")
    asked = parser.parse_args()
    console = Console()
    figures = asyncio.run(measured(asked, console))
    console.print()
    show(figures, console)
    if asked.small:
        return 0
    keep(figures)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    raise SystemExit(main())
