"""Checkpoints are whole or refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from feedmill.core.errors import ArtifactError
from feedmill.core.events import EventBatch, Kind
from feedmill.samples.joiner import Joiner, State, checkpoint
from samples.joiner.plain import event, told


def state(n: int = 40) -> State:
    rows = [event(Kind.IMPRESSION, k, f"r{k}", "x", payload='{"version": "v", "offset": 3}') for k in range(n)]
    joiner = Joiner(told({}))
    joiner.feed(EventBatch.rows([*rows, event(Kind.CLICK, 1, "early", "x")]), 0)
    return joiner.state()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written = state()
    found = checkpoint.read(checkpoint.write(tmp_path, written))
    assert found.about == {"offset": 41, "config": msgspec.to_builtins(told({}))}
    assert found.texts.equals(written.texts)
    assert {k: v.tolist() for k, v in found.arrays.items()} == {k: v.tolist() for k, v in written.arrays.items()}
    assert Joiner.restore(told({}), found).waiting == Joiner.restore(told({}), written).waiting > 0


def test_nothing_waiting_is_a_state_too(tmp_path: Path) -> None:
    found = checkpoint.read(checkpoint.write(tmp_path, Joiner(told({})).state()))
    assert Joiner.restore(told({}), found).waiting == 0


def test_two_are_kept(tmp_path: Path) -> None:
    one = state()
    for offset in (10, 20, 30):
        checkpoint.write(tmp_path, msgspec.structs.replace(one, about={**one.about, "offset": offset}))
    assert [int(p.stem) for p in checkpoint.stored(tmp_path)] == [30, 20]


@pytest.mark.parametrize("where", [0.0, 0.01, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("how", ["flip", "cut"])
def test_damage_anywhere_is_noticed(tmp_path: Path, where: float, how: str) -> None:
    path = checkpoint.write(tmp_path, state())
    raw = bytearray(path.read_bytes())
    at = int(where * len(raw))
    if how == "flip":
        raw[at] ^= 1
    else:
        del raw[at:]
    path.write_bytes(raw)
    with pytest.raises(ArtifactError, match="not what was written"):
        checkpoint.read(path)
