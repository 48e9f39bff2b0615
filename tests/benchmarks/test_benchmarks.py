"""The benchmarks at a size that shows that they run, and the arithmetic of their figures."""

import argparse
import os
from io import StringIO
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from benchmarks.__main__ import BENCHMARKS
from benchmarks.figure import Figure, at_least, at_most, interleaved, keep, percentile, show

# What these start and measure is started and looked at by tests of their own; BENCHMARKS=all runs them too.
LONG = {"gateway", "mesh", "overload", "payroll", "punches", "up"}
NAMES = [name for name in BENCHMARKS if name not in LONG or os.environ.get("BENCHMARKS") == "all"]
NEEDS_SERVERS = {
    "events",
    "gateway",
    "mesh",
    "overload",
    "payroll",
    "punches",
    "push",
    "read",
    "rpc",
    "start",
    "time",
    "up",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
async def test_a_benchmark_runs_at_a_small_size(
    name: str, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in NEEDS_SERVERS and pytestconfig.getoption("--fast"):
        pytest.skip("starts deployments; --fast leaves it out")

    if name != "overload":  # a busy machine answers late, and is to answer all the same
        monkeypatch.setenv("MUSTER_SHEDDING", "off")

    asked = argparse.Namespace(small=True, large=False)
    figures = [figure async for figure in BENCHMARKS[name](asked)]

    assert figures
    assert all(figure.value > 0 for figure in figures)
    assert all(figure.floor is None or figure.floor > 0 for figure in figures)


def test_a_promise_is_kept_when_all_its_parts_are() -> None:
    kept = at_most("a", 200.0, "us", floor=50.0, ratio=5.0, most=250.0)
    too_slow = at_most("b", 300.0, "us", floor=100.0, ratio=5.0, most=250.0)
    rate = at_least("c", 650.0, "requests/s", floor=1000.0, ratio=0.7)

    assert (kept.met, kept.ratio, kept.target) == (True, 4.0, "<= 5x, <= 250 us")
    assert too_slow.met is False
    assert (rate.met, rate.ratio) == (False, 0.65)


async def test_floor_and_ours_are_measured_in_turns_and_their_medians_taken() -> None:
    order: list[str] = []
    floors, values = iter([1.0, 9.0, 2.0]), iter([4.0, 5.0, 90.0])

    async def floor() -> float:
        order.append("floor")
        return next(floors)

    async def ours() -> float:
        order.append("ours")
        return next(values)

    medians = await interleaved(floor, ours, 3)

    assert medians == (2.0, 5.0)
    assert order == ["floor", "ours"] * 3


def test_results_of_this_time_replace_those_of_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    keep([Figure("a", 1.0, "s"), Figure("b", 2.0, "s")], path)

    keep([Figure("b", 3.0, "s", 1.5, "<= 3x", True)], path)

    assert orjson.loads(path.read_bytes()) == [
        {"name": "a", "value": 1.0, "unit": "s", "floor": None, "target": "", "met": None, "ratio": None},
        {"name": "b", "value": 3.0, "unit": "s", "floor": 1.5, "target": "<= 3x", "met": True, "ratio": 2.0},
    ]


def test_the_table_names_what_is_not_met() -> None:
    text = StringIO()

    show([Figure("slow thing", 12.0, "us", 2.0, "<= 5x", False)], Console(file=text, width=120))

    assert "slow thing" in text.getvalue()
    assert "NO" in text.getvalue()


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(number) for number in range(1, 101)]

    assert percentile(values, 0.99) == 99.0
    assert percentile(values, 0.5) == 50.0
    assert percentile([7.0], 0.99) == 7.0
