"""Copies of events beside the log, and taking people out of them: samples, join checkpoints, traces, rejects, sums."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feedmill.core.protocols import EventLog
from feedmill.core.workspace import Workspace
from feedmill.log import traces
from feedmill.samples.joiner import checkpoint, parts
from feedmill.samples.joiner.run import folder_of
from feedmill.state.found import is_named, is_replaced
from feedmill.state.stored import fingerprint

Users = Mapping[str, tuple[int, str]]  # person -> (offset of the first event, who that is of now)


def checkpoints(at: Workspace, log: EventLog) -> list[Path]:
    """Those of the joiner that are of this log; one may be from before the event it is known by was rewritten."""
    return [p for p in checkpoint.stored(folder_of(at) / "checkpoints") if _is_of(p, log)]


def scrub(at: Workspace, log: EventLog, users: Users, requests: Mapping[str, str], known: list[Path]) -> dict[str, int]:
    """What was changed, by kind.

    Args:
        known: the checkpoints that were of the log before it was rewritten.

    Raises:
        LogError, OSError: something cannot be read or written; what was done is done, and can be repeated.
    """
    done = {"traces": traces.forget(at.traces, users.keys())}
    done["rows of samples"] = sum(_parquet(p, users, requests) for p in sorted(folder_of(at).glob("**/*.parquet")))
    done["checkpoints"] = sum(_checkpoint(p, log, users, requests) for p in known)
    done["rejects"] = sum(_lines(p, users) for p in sorted(at.rejects.glob("*.jsonl")))
    done["folders that are made again from the log"] = sum(map(_removed, (at.rollups, at.learner)))
    return done


def _removed(folder: Path) -> bool:
    """Whether there was one to remove."""
    is_there = folder.is_dir()
    if is_there:
        shutil.rmtree(folder)
    return is_there


def _parquet(path: Path, users: Users, requests: Mapping[str, str]) -> int:
    table = pq.read_table(path, partitioning=None)
    new, n = _replaced(table, users, requests)
    if n:
        with parts.replaced(path) as temporary:
            pq.write_table(new, temporary, compression="zstd", version="2.6", store_schema=False)
    return n


def _checkpoint(path: Path, log: EventLog, users: Users, requests: Mapping[str, str]) -> int:
    state = checkpoint.read(path)
    texts, n = _replaced(pa.Table.from_batches([state.texts]), users, requests)
    last = fingerprint(log.read(int(state.about["offset"]) - 1, 1)[0]) if state.about["offset"] else ""
    if n or last != state.about["last_event"]:
        batch = texts.combine_chunks().to_batches()[0] if texts.num_rows else state.texts
        about = {**state.about, "last_event": last}
        checkpoint.write(path.parent, msgspec.structs.replace(state, texts=batch, about=about))
    return int(n > 0)


def _is_of(path: Path, log: EventLog) -> bool:
    about = checkpoint.read(path).about
    offset = int(about["offset"])
    if not log.start < offset <= log.end:
        return False
    event = log.read(offset - 1, 1)[0]
    return fingerprint(event) == about["last_event"] or (log.epoch > 0 and is_replaced(event))


def _replaced(table: pa.Table, users: Users, requests: Mapping[str, str]) -> tuple[pa.Table, int]:
    """The table with nobody in their place, as the log has it; and in how many rows."""
    changed = np.zeros(table.num_rows, np.bool_)
    offsets = table["offset"].to_pylist() if "offset" in table.column_names else [None] * table.num_rows
    for k, field in enumerate(table.schema):
        if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
            continue
        before = table.column(k).to_pylist()
        after = [_value(v, o, users, requests) for v, o in zip(before, offsets, strict=True)]
        mask = np.array([a != b for a, b in zip(before, after, strict=True)], np.bool_)
        if mask.any():
            table = table.set_column(k, field, pa.array(after, field.type))
            changed |= mask
    return table, int(changed.sum())


def _value(value: str | None, offset: int | None, users: Users, requests: Mapping[str, str]) -> str | None:
    if value is not None and value in users:
        first, alias = users[value]
        return alias if offset == first else ""
    return requests.get(value, value) if value is not None else None


def _lines(path: Path, users: Users) -> int:
    """Drop the lines that name somebody."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not any(is_named(user_id, line) for user_id in users)]
    if len(kept) < len(lines):
        with parts.replaced(path) as temporary:
            temporary.write_text("".join(kept), "utf-8")
    return len(lines) - len(kept)
