"""A person leaves the samples; what was learned from the crowd stays."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from feedmill.samples.joiner import checkpoint, parts
from feedmill.samples.joiner.forget import blanked, forget
from feedmill.samples.joiner.run import run
from samples.joiner.test_run import N, append, workspace


def rows(folder: Path) -> list[dict[str, object]]:
    return pa.concat_tables(parts.closed(folder / "samples", 0, N)).to_pylist()


def test_their_ids_are_gone_everywhere_and_nothing_else_is(tmp_path: Path) -> None:
    at = workspace(tmp_path)
    run(at)
    before = rows(tmp_path)
    theirs = sum(row["user_id"] in ("7", "8") for row in before)
    assert theirs > 0
    assert forget(at, ["7", "8"]) > theirs  # in checkpoints too
    for row, was in zip(rows(tmp_path), before, strict=True):
        is_theirs = was["user_id"] in ("7", "8")
        is_named = was["request_id"] == was["user_id"]  # feeds of this log are numbered, as its people are
        expected = {"user_id": "", "request_id": "" if is_named else was["request_id"]} if is_theirs else {}
        assert row == {**was, **expected}
    for path in checkpoint.stored(tmp_path / "samples" / "checkpoints"):
        assert not {"7", "8"} & set(checkpoint.read(path).texts["user_id"].to_pylist())
    assert forget(at, ["7", "8"]) == 0
    assert forget(at, ["nobody"]) == 0


def test_the_joiner_goes_on_afterwards(tmp_path: Path) -> None:
    at = workspace(tmp_path, 5000)
    run(at)
    forget(at, ["7"])
    append(tmp_path, 5000, N)
    ran = run(at)
    assert ran.counts.uneven() == []
    assert ran.start == 4096


def test_a_request_named_after_them_is_blanked_too() -> None:
    names = {"user_id": ["7", "7", "8"], "request_id": ["feed-7-1", "17", "feed-7-2"]}
    table, n = blanked(pa.table(names), ["7"])
    assert n == 2
    assert table.to_pydict() == {"user_id": ["", "", "8"], "request_id": ["", "17", "feed-7-2"]}


def test_without_samples_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert forget(workspace(tmp_path, 0), ["7"]) == 0
