"""Tables of ranges of the log as immutable files, merged as they get many (a log-structured store: O'Neil et al. 1996).

A segment is a folder ``<from>-<to>`` with a Parquet file for each table. It is written elsewhere and renamed, and its
content follows from the log alone: several processes may write the same one, and the last of them changes nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from feedmill.core.errors import WorkspaceError
from feedmill.metrics.rollup.columns import SCHEMAS, in_order, merged
from feedmill.metrics.rollup.fold import Tables

_MANY = 8  # segments; fewer are read as fast as one
_ABANDONED_S = 3600  # nobody takes that long to write a segment


class Segment(NamedTuple):
    """Events ``first`` to ``end``, the last not among them."""

    first: int
    end: int
    path: Path


class Segments:
    """The segments in a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._good: set[Path] = set()

    def cover(self) -> list[Segment]:
        """Segments one after the other from offset 0 on, each the longest there is; unreadable ones are deleted."""
        by_first: dict[int, list[Segment]] = {}
        for segment in self._all():
            by_first.setdefault(segment.first, []).append(segment)
        out: list[Segment] = []
        while longest := self._longest(by_first.get(out[-1].end if out else 0, [])):
            out.append(longest)
        return out

    def write(self, first: int, end: int, tables: Tables) -> None:
        """Add a segment; nothing if it is there already.

        Raises:
            WorkspaceError: the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
            try:
                for name, table in tables.items():
                    table.write_parquet(made / f"{name}.parquet")
                made.chmod(0o755)
                self._place(made, self.folder / f"{first}-{end}")
            finally:
                shutil.rmtree(made, ignore_errors=True)
        except OSError as e:
            raise WorkspaceError(f"{self.folder}: {e.strerror}", "a folder that can be written to") from None

    def drop(self, segment: Segment) -> None:
        """Delete one; nobody minds if it is gone."""
        self._good.discard(segment.path)
        shutil.rmtree(segment.path, ignore_errors=True)

    def compact(self) -> None:
        """Where there are many, merge neighbours until each segment is more than twice as long as what follows, and
        delete what others hold. The last stays as it is: the request at its end may go on (see ``Rollup.update``)."""
        cover = self.cover()
        if len(cover) < _MANY:
            return
        kept = cover[:-1]
        at = len(kept) - 1
        while at and kept[at - 1].end - kept[at - 1].first <= 2 * (kept[-1].end - kept[at].first):
            at -= 1
        try:
            if at < len(kept) - 1:
                tables = {name: self._merge(name, kept[at:]) for name in SCHEMAS}
                self.write(kept[at].first, kept[-1].end, tables)
            self._sweep()
        except (OSError, pl.exceptions.PolarsError):
            return  # another process deleted one of them: it merges

    def scan(self, table: str, cover: Sequence[Segment]) -> pl.LazyFrame:
        """The rows of a table in those segments, in order of the log."""
        files = [segment.path / f"{table}.parquet" for segment in cover]
        return pl.scan_parquet(files) if files else pl.LazyFrame(schema=SCHEMAS[table])

    def _merge(self, table: str, parts: Sequence[Segment]) -> pl.DataFrame:
        return in_order(table, merged(table, self.scan(table, parts)).collect())

    def _place(self, made: Path, target: Path) -> None:
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():
                raise

    def _all(self) -> list[Segment]:
        out = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            first, dash, end = path.name.partition("-")
            if dash and first.isdigit() and end.isdigit() and int(first) < int(end):
                out.append(Segment(int(first), int(end), path))
        return out

    def _longest(self, choices: Sequence[Segment]) -> Segment | None:
        return next((s for s in sorted(choices, key=lambda s: -s.end) if self._is_good(s)), None)

    def _is_good(self, segment: Segment) -> bool:
        """Every table is there with its columns. A file that was never wholly written has no footer."""
        if segment.path not in self._good:
            try:
                files = ((name, segment.path / f"{name}.parquet") for name in SCHEMAS)
                is_good = all(pl.read_parquet_schema(file) == dict(SCHEMAS[name]) for name, file in files)
            except (OSError, pl.exceptions.PolarsError):
                is_good = False
            if not is_good:
                self.drop(segment)
                return False
            self._good.add(segment.path)
        return True

    def _sweep(self) -> None:
        """Delete segments that a longer one holds, and what a writer that was killed has left. Who reads one of them
        looks again (``Rollup.read``)."""
        cover = self.cover()
        for s in self._all():
            if any(c.path != s.path and c.first <= s.first and s.end <= c.end for c in cover):
                self.drop(s)
        newest = max(s.path.stat().st_mtime for s in cover)
        for left in self.folder.glob(".new-*"):
            if left.stat().st_mtime < newest - _ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
