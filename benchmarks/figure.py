"""A measured figure with its floor and target, how it is taken, shown and kept."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import orjson
from rich.console import Console
from rich.table import Table

ROUNDS = 5
RESULTS = Path(__file__).resolve().parent / "results.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the results.

    Invariants: `floor` is what the same run measured for the least work that gives the same result, in `unit`; `ratio`
    is value / floor; `met` is None where nothing was promised.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    target: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Value / floor, None without a floor."""
        return None if not self.floor else self.value / self.floor

    def row(self) -> dict[str, object]:
        """As it stands in results.json."""
        whole = asdict(self)
        return {**{key: _short(value) for key, value in whole.items()}, "ratio": _short(self.ratio)}


def at_most(
    name: str,
    value: float,
    unit: str,
    *,
    floor: float | None = None,
    ratio: float | None = None,
    most: float | None = None,
) -> Figure:
    """A figure that must not exceed `ratio` times its floor, nor `most`."""
    promises, kept = [], []
    if ratio is not None and floor:
        promises.append(f"<= {ratio:g}x")
        kept.append(value <= ratio * floor)
    if most is not None:
        promises.append(f"<= {most:g} {unit}")
        kept.append(value <= most)
    return Figure(name, value, unit, floor, ", ".join(promises), all(kept) if kept else None)


def at_least(name: str, value: float, unit: str, *, floor: float, ratio: float) -> Figure:
    """A rate that must reach `ratio` of its floor's rate."""
    return Figure(name, value, unit, floor, f">= {ratio:g}x", value >= ratio * floor)


def at_least_so_many(name: str, value: float, unit: str, *, floor: float, least: float) -> Figure:
    """A rate that must reach `least`; its floor's rate stands beside it."""
    return Figure(name, value, unit, floor, f">= {least:,.0f} {unit}", value >= least)


async def interleaved(
    floor: Callable[[], Awaitable[float]], ours: Callable[[], Awaitable[float]], rounds: int = ROUNDS
) -> tuple[float, float]:
    """The medians of `rounds` measurements each, taken in turns, so that what disturbs one disturbs the other."""
    floors, values = [], []
    for _ in range(rounds):
        floors.append(await floor())
        values.append(await ours())
    return median(floors), median(values)


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    return sorted_values[max(math.ceil(share * len(sorted_values)) - 1, 0)]


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("figure", "value", "unit", "floor", "ratio", "target", "met"):
        table.add_column(heading, justify="right" if heading in ("value", "floor", "ratio") else "left")
    for figure in figures:
        met = "" if figure.met is None else "yes" if figure.met else "NO"
        table.add_row(
            figure.name,
            _text(figure.value),
            figure.unit,
            _text(figure.floor),
            _text(figure.ratio),
            figure.target,
            met,
            style="red" if figure.met is False else "",
        )
    console.print(table)


def keep(figures: Sequence[Figure], path: Path = RESULTS) -> None:
    """Write the rows: those measured now replace those of the same name, the others stay."""
    known: dict[str, dict[str, object]] = {}
    if path.exists():
        known = {row["name"]: row for row in orjson.loads(path.read_bytes())}
    known.update({figure.name: figure.row() for figure in figures})
    rows = [known[name] for name in sorted(known)]
    path.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _short(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
