from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill import publish
from feedmill.core.batches import Part
from feedmill.core.clock import FixedClock
from feedmill.core.errors import ArtifactError
from feedmill.publish import Gate


def write(root: Path, n: int, metrics: dict[str, float] | None = None) -> str:
    part = Part("k", {}, {"a": np.full(5, n)})
    return publish.write(root, {"p": part}, {"metrics": metrics or {}}, clock=FixedClock(n))


def test_writing_does_not_promote(tmp_path: Path) -> None:
    write(tmp_path, 1)
    assert publish.current(tmp_path) is None
    assert publish.history(tmp_path) == []


def test_promote_and_roll_back(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path, n) for n in (1, 2, 3))
    for version in (a, b, c, c):
        publish.promote(tmp_path, version)
    assert publish.history(tmp_path) == [c, b, a], "promoting the current version again changes nothing"
    assert publish.rollback(tmp_path) == b
    assert publish.load(tmp_path).version == b
    assert publish.rollback(tmp_path) == a
    with pytest.raises(ArtifactError, match="to go back to"):
        publish.rollback(tmp_path)
    assert publish.current(tmp_path) == a


def test_rolling_back_skips_what_no_longer_loads(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path, n) for n in (1, 2, 3))
    for version in (a, b, c):
        publish.promote(tmp_path, version)
    (tmp_path / b / "p" / "a.npy").unlink()
    assert publish.rollback(tmp_path) == a


def test_nothing_to_roll_back(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="the first"):
        publish.rollback(tmp_path)


def test_a_damaged_version_is_not_promoted(tmp_path: Path) -> None:
    a, b = write(tmp_path, 1), write(tmp_path, 2)
    publish.promote(tmp_path, a)
    (tmp_path / b / "p" / "a.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match="bytes"):
        publish.promote(tmp_path, b)
    assert publish.current(tmp_path) == a


def test_the_gate_keeps_a_worse_version_out(tmp_path: Path) -> None:
    gate = Gate(at_least={"ndcg": 0.98})
    first = write(tmp_path, 1, {"ndcg": 0.300})
    worse, close = write(tmp_path, 2, {"ndcg": 0.290}), write(tmp_path, 3, {"ndcg": 0.297})
    publish.promote(tmp_path, first, gate)
    with pytest.raises(ArtifactError, match=r"ndcg = 0.29, at least 0.294 needed"):
        publish.promote(tmp_path, worse, gate)
    assert publish.current(tmp_path) == first
    publish.promote(tmp_path, close, gate)
    publish.promote(tmp_path, worse)
    assert publish.current(tmp_path) == worse, "by hand, without the gate"


def test_the_gate_lets_a_sound_version_replace_a_damaged_one(tmp_path: Path) -> None:
    first, second = write(tmp_path, 1, {"ndcg": 0.3}), write(tmp_path, 2, {"ndcg": 0.1})
    publish.promote(tmp_path, first)
    (tmp_path / first / "manifest.json").unlink()
    publish.promote(tmp_path, second, Gate(at_least={"ndcg": 0.98}))
    assert publish.current(tmp_path) == second


def test_versions_are_listed_newest_first(tmp_path: Path) -> None:
    assert publish.versions(tmp_path / "never") == []
    a, b = write(tmp_path, 1, {"ndcg": 0.3}), write(tmp_path, 2)
    publish.promote(tmp_path, a)
    (tmp_path / "0123456789ab").mkdir()
    (tmp_path / "notes").mkdir()
    listed = publish.versions(tmp_path)
    assert [(v.version, v.created_ms, v.is_current) for v in listed] == [(b, 2, False), (a, 1, True)]
    assert listed[1].about["metrics"] == {"ndcg": 0.3}


def test_collecting_keeps_the_newest_the_current_and_the_way_back(tmp_path: Path) -> None:
    made = [write(tmp_path, n) for n in range(6)]
    for version in (made[0], made[1]):
        publish.promote(tmp_path, version)
    mapped = publish.load(tmp_path, made[2]).part("p").arrays["a"]
    assert sorted(publish.collect(tmp_path, keep=2)) == sorted([made[2], made[3]])
    assert {v.version for v in publish.versions(tmp_path)} == {made[0], made[1], made[4], made[5]}
    assert mapped.tolist() == [2] * 5, "who has it mapped reads on"
    assert publish.collect(tmp_path, keep=2) == []
    assert publish.rollback(tmp_path) == made[0]


@pytest.mark.parametrize("text", [b"../../etc\n", b"\xff", b"0123456789AB\n"])
def test_a_pointer_that_is_not_ours_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "current").write_bytes(text)
    with pytest.raises(ArtifactError, match="current"):
        publish.load(tmp_path)


def test_a_pointer_to_a_version_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "current").write_text("0123456789ab\n")
    with pytest.raises(ArtifactError, match="no version 0123456789ab"):
        publish.load(tmp_path)
