from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill import publish
from feedmill.core.batches import Part
from feedmill.core.clock import FixedClock
from feedmill.core.errors import ArtifactError
from feedmill.publish import Gate, Promotion, publishing


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
    with pytest.raises(ArtifactError, match=rf"0.29 is 3.3% below 0.3 of version {first}, at least 0.294 needed"):
        publish.promote(tmp_path, worse, gate)
    assert publish.current(tmp_path) == first
    publish.promote(tmp_path, close, gate)
    publish.promote(tmp_path, worse)
    assert publish.current(tmp_path) == worse, "by hand, without the gate"


def test_overruling_the_gate_is_written_down(tmp_path: Path) -> None:
    gate = Gate(at_least={"ndcg": 0.98})
    first, worse = write(tmp_path, 1, {"ndcg": 0.3}), write(tmp_path, 2, {"ndcg": 0.2})
    publish.promote(tmp_path, first, gate, who="ann", why="new towers", clock=FixedClock(10))
    told = publish.promote(tmp_path, worse, gate, force=True, who="ben", clock=FixedClock(20))
    publish.rollback(tmp_path, who="ann", why="clicks fell", clock=FixedClock(30))
    assert len(told) == 1
    assert publish.promotions(tmp_path) == [
        Promotion(10, "promote", first, "", "ann", "new towers"),
        Promotion(20, "promote", worse, first, "ben", "", tuple(told)),
        Promotion(30, "rollback", first, worse, "ann", "clicks fell"),
    ]
    assert publish.promote(tmp_path, first, gate) == []
    assert len(publish.promotions(tmp_path)) == 3, "nothing was changed"


def test_a_version_measured_on_the_same_rows_as_the_current_one_is_held_against_that(tmp_path: Path) -> None:
    gate, first = Gate(at_least={"auc.*": 0.99}), write(tmp_path, 1, {"auc.click": 0.9})
    publish.promote(tmp_path, first)
    base = {"base": first, "metrics_of_base": {"auc": {"click": 0.7}}}
    night = publish.write(tmp_path, {}, {**base, "metrics": {"auc": {"click": 0.71}}})
    publish.promote(tmp_path, night, gate)
    bad = publish.write(tmp_path, {}, {**base, "base": night, "metrics": {"auc": {"click": 0.6}}})
    with pytest.raises(ArtifactError, match="14.3% below 0.7"):
        publish.promote(tmp_path, bad, gate)
    other = publish.write(tmp_path, {}, {"split": "global_time", "metrics": {"auc": {"click": 0.6}}})
    publish.promote(tmp_path, other, gate)


def test_the_gate_looks_at_the_time_that_scoring_takes(tmp_path: Path) -> None:
    slow = publish.write(tmp_path, {}, {"run": {"score_ms": {"p50": 20.0, "p99": 250.0}}})
    with pytest.raises(ArtifactError, match=r"run.score_ms.p99 = 250 is 150.0% above the bound, at most 100 needed"):
        publish.promote(tmp_path, slow, Gate())


def test_a_line_that_a_crash_cut_short_costs_that_line(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path, n) for n in (1, 2, 3))
    publish.promote(tmp_path, a)
    publish.promote(tmp_path, b)
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    publish.promote(tmp_path, c)
    assert [(p.action, p.version) for p in publish.promotions(tmp_path)] == [
        ("promote", a), ("found", b), ("promote", c),
    ]  # fmt: skip
    assert path.read_bytes().count(b"\n") == 4


def test_rolling_back_to_a_named_version(tmp_path: Path) -> None:
    a, b, c, never = (write(tmp_path, n) for n in (1, 2, 3, 4))
    for version in (a, b, c):
        publish.promote(tmp_path, version)
    with pytest.raises(ArtifactError, match=f"no version {never} to go back to") as e:
        publish.rollback(tmp_path, never)
    assert e.value.expected.endswith(f"{[b, a]}")
    assert publish.rollback(tmp_path, a) == a
    assert publish.history(tmp_path) == [a]
    publish.promote(tmp_path, c)
    (tmp_path / a / "p" / "a.npy").unlink()
    with pytest.raises(ArtifactError, match="no file"):
        publish.rollback(tmp_path, a)
    assert publish.current(tmp_path) == c


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


def test_what_others_serve_or_are_about_to_is_not_collected(tmp_path: Path) -> None:
    made = [write(tmp_path, n) for n in range(1, 7)]
    publish.promote(tmp_path, made[5])
    with publishing(tmp_path, FixedClock(5)):
        assert publish.collect(tmp_path, keep=0, pinned=[made[1]]) == [made[3], made[2], made[0]]
        assert {v.version for v in publish.versions(tmp_path)} == {made[1], made[4], made[5]}
    assert publish.collect(tmp_path, keep=0) == [made[4], made[1]]
    assert [p.name for p in tmp_path.glob(".publishing-*")] == []


def test_the_mark_of_a_publish_that_was_killed_holds_nothing_up(tmp_path: Path) -> None:
    made = [write(tmp_path, n) for n in range(1, 4)]
    publish.promote(tmp_path, made[2])
    (tmp_path / ".publishing-1").write_text("1")
    assert publish.collect(tmp_path, keep=0) == [made[1], made[0]]
    assert not (tmp_path / ".publishing-1").exists()


def test_a_collection_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    made = [write(tmp_path, n) for n in range(1, 4)]
    publish.promote(tmp_path, made[2])
    (tmp_path / made[0]).rename(tmp_path / f".removed-{made[0]}")  # and then the machine stopped
    assert made[0] not in [v.version for v in publish.versions(tmp_path)]
    assert publish.collect(tmp_path, keep=0) == [made[1]]
    assert list(tmp_path.glob(".removed*")) == []


def test_verifying_names_what_is_damaged(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path, n) for n in (1, 2, 3))
    (tmp_path / b / "p" / "a.npy").write_bytes(b"")
    (tmp_path / c / "manifest.json").unlink()
    found = publish.verify(tmp_path)
    assert found[a] == ""
    assert "0 bytes" in found[b]
    assert "manifest.json" in found[c]
    assert publish.verify(tmp_path / "never") == {}


@pytest.mark.parametrize("text", [b"../../etc\n", b"\xff", b"0123456789AB\n"])
def test_a_pointer_that_is_not_ours_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "current").write_bytes(text)
    with pytest.raises(ArtifactError, match="current"):
        publish.load(tmp_path)


def test_a_pointer_to_a_version_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "current").write_text("0123456789ab\n")
    with pytest.raises(ArtifactError, match="no version 0123456789ab"):
        publish.load(tmp_path)
