"""A page of docs/benchmarks filled from the figures that `feedmill bench --json` wrote.

The page keeps what people wrote: only what stands between `<!-- figures: NAME -->` and `<!-- end -->` is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from feedmill.core.errors import DataError
from feedmill.metrics.rows import BenchRow, encoded

Figures = Sequence[Mapping[str, Any]]
Fill = Callable[[Figures, str, Path], str]
Rows = Mapping[tuple[str, str], Mapping[str, Any]]  # by what, without the bench's name, and metric
Block = Callable[[Figures, Rows, Path], str]
BLOCK = re.compile(r"(<!-- figures: ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
NO_FIGURES = "No figures.\n"


def read(paths: Sequence[Path]) -> Figures:
    """Rows of several files; of the same figure the last one counts.

    Raises:
        DataError: a file is missing or is not what --json writes.
    """
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for path in paths:
        try:
            for row in msgspec.json.decode(path.read_bytes()):
                found[row["what"], row["metric"]] = row
        except (OSError, msgspec.DecodeError, TypeError, KeyError) as e:
            raise DataError(f"{path}: {e}", "a file that `feedmill bench --json` wrote") from e
    return list(found.values())


def figures(rows: Sequence[BenchRow]) -> Figures:
    """The same of rows just measured."""
    decoded: Figures = msgspec.json.decode(encoded(rows))
    return decoded


def write(page: Path, found: Figures, known: Mapping[str, Fill], *, leave_others: bool = False) -> None:
    """Replace the page's blocks and draw the plots beside it.

    Args:
        known: what each kind of block becomes, from the figures, the rest of its name and the page.
        leave_others: blocks of other kinds are another bench's, and stay.

    Raises:
        DataError: there is no such page, or a block that nobody fills.
    """
    if not page.is_file():
        raise DataError(f"no page {page}", "a page with blocks `<!-- figures: table SPLIT -->` … `<!-- end -->`")

    def fill(block: re.Match[str]) -> str:
        kind, _, split = block[2].partition(" ")
        if kind not in known and leave_others:
            return block[0]
        if kind not in known:
            raise DataError(f"{page}: figures: {block[2]}", f"one of {list(known)}, and a split")
        return f"{block[1]}{known[kind](found, split.strip(), page)}{block[3]}"

    page.write_text(BLOCK.sub(fill, page.read_text("utf-8")), "utf-8")


def write_blocks(page: Path, found: Figures, what: str, blocks: Mapping[str, Block]) -> None:
    """Replace the blocks `WHAT NAME` of a page that other benches have blocks on too.

    Args:
        what: begins the name of every row of the bench: "WHAT: …".
        blocks: by name, what each becomes from the bench's rows, those by name and metric, and the page.

    Raises:
        DataError: there is no such page, or a block of this bench that nobody fills.
    """

    def fill(found: Figures, name: str, page: Path) -> str:
        if name not in blocks:
            raise DataError(f"{page}: figures: {what} {name}", f"one of {[f'{what} {b}' for b in blocks]}")
        own = [row for row in found if str(row["what"]).startswith(f"{what}: ")]
        rows = {(str(row["what"]).removeprefix(f"{what}: "), str(row["metric"])): row for row in own}
        return blocks[name](own, rows, page) if own else NO_FIGURES

    write(page, found, {what: fill}, leave_others=True)


def measured_with(found: Figures) -> str:
    """The machines and versions that the rows carry."""
    machines = sorted({row["machine"] for row in found})
    packages: dict[str, str] = {}
    for row in found:
        packages |= row["versions"]
    return f"{'; '.join(machines)}. {', '.join(f'{k} {v}' for k, v in packages.items())}.\n"


def line(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def bounded(row: Mapping[str, Any] | None, digits: int, signed: bool = False) -> str:
    """A figure with its interval, where it has one; nothing where there is no figure."""
    if row is None or row["value"] is None:
        return ""
    sign = "+" if signed else ""
    value = f"{row['value']:{sign},.{digits}f}"
    if row["low"] is None or row["low"] == row["high"]:
        return value
    return f"{value} [{row['low']:{sign},.{digits}f}, {row['high']:{sign},.{digits}f}]"
