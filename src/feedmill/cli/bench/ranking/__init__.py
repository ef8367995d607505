"""Everything about ranking that is measured, `feedmill bench ranking`: a file for each part, put in a row here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from feedmill.cli.bench.ranking.census import OURS, PEERS
from feedmill.cli.bench.ranking.study import COSINES
from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.core.progress import console
from feedmill.metrics.rows import BenchRow


class Part(NamedTuple):
    """A part of the bench: where its function is, and what it asks."""

    module: str
    function: str
    asks: str
    reads_data: bool = False


BENCH = "feedmill.cli.bench.ranking"
PARTS: dict[str, Part] = {
    "study": Part(f"{BENCH}.study", "study_rows", "what related tasks are worth to shared models"),
    "census": Part(f"{BENCH}.census", "census_rows", "multi-task rankers beside other libraries'", True),
    "trees": Part(f"{BENCH}.trees", "gbdt_rows", "trees, a linear model, and both", True),
    "calibration": Part(f"{BENCH}.calibration", "calibration_rows", "down-sampled negatives, corrected"),
    "personal": Part(f"{BENCH}.personal", "personal_rows", "PPNet and POSO for new users"),
    "serving": Part(f"{BENCH}.serving", "serving_rows", "what it costs to rank and pre-rank"),
}
WITHIN = {"census": [*OURS, *PEERS], "study": [f"p={cosine}" for cosine in COSINES]}


def ranking_rows(quick: bool, data: Path | None = None, only: Sequence[str] = ()) -> list[BenchRow]:
    """Rows of every part; what cannot be measured here is a row that says why.

    Args:
        quick: less of everything.
        data: the folder of real data.
        only: names of parts, of the models and peers of "census", or p=0.5 … of "study"; none = all.

    Raises:
        DataError: a name that is nothing.
    """
    rows: list[BenchRow] = []
    for part, within in chosen(only).items():
        console.print(f"{part}: {PARTS[part].asks}", markup=False)
        rows += part_rows(part, quick, data, within)
    return rows


def chosen(only: Sequence[str]) -> dict[str, list[str]]:
    """The parts asked for, and what within each; an empty list = all of it.

    Raises:
        DataError: a name that is nothing.
    """
    known = [*PARTS, *(name for names in WITHIN.values() for name in names)]
    for name in only:
        if name not in known:
            raise DataError(f"--only {name}", f"one of {known}", nearest(name, known))
    found: dict[str, list[str]] = {}
    for part in PARTS:
        within = [name for name in only if name in WITHIN.get(part, [])]
        if not only or part in only or within:
            found[part] = [] if part in only else within
    return found


def part_rows(part: str, quick: bool, data: Path | None, within: list[str]) -> list[BenchRow]:
    """The rows of one part, each named ``part: …``; one that says why where it cannot be measured."""
    try:
        rows: list[BenchRow] = function(part)(quick, **_given(part, data, within))
    except DataError as e:
        return [absent(part, str(e).replace("\n", "; "))]
    except ModuleNotFoundError as e:
        return [absent(part, f"not installed: {e.name}")]
    return [row if row.what.startswith(f"{part}: ") else replace(row, what=f"{part}: {row.what}") for row in rows]


def function(part: str) -> Callable[..., list[BenchRow]]:
    """What measures a part, imported when it is asked for."""
    of = PARTS[part]
    found: Callable[..., list[BenchRow]] = getattr(import_module(of.module), of.function)
    return found


def _given(part: str, data: Path | None, within: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {"data": data} if PARTS[part].reads_data else {}
    if part == "study" and within:
        given["cosines"] = tuple(float(name.removeprefix("p=")) for name in within)
    if part == "census":
        given["only"] = within
    return given


def absent(part: str, why: str) -> BenchRow:
    """A part that is not measured, and why."""
    return BenchRow(what=f"{part}: not measured", metric="", value=float("nan"), unit=why)
