"""Rows that move between two versions: stored whole, taken up whole, refused where they do not belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill.core.batches import Part
from feedmill.core.errors import ArtifactError
from feedmill.publish import Artifact, collect, load, promote, write
from feedmill.publish import delta as deltas
from feedmill.publish.delta import Change, Delta

ROWS = np.array([1, 3], np.int32)
VALUES = np.array([[9, 9], [8, 8]], np.float32)


def published(root: Path, seed: int = 0) -> str:
    table = np.arange(10, dtype=np.float32).reshape(5, 2) + seed
    version = write(root, {"rank": Part("dnn", {}, {"embedding": table, "other": table.copy()})}, {})
    promote(root, version)
    return version


def moved(base: str, seq: int = 1, offset: int = 10, values: np.ndarray = VALUES) -> Delta:
    return Delta(base, seq, {"rank": {"embedding": Change(ROWS, values)}}, {"offset": offset})


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return load(tmp_path, published(tmp_path), private=deltas.MOVING)


def test_it_comes_back_as_it_was_written(tmp_path: Path, artifact: Artifact) -> None:
    given = moved(artifact.version)
    deltas.write(tmp_path, given)
    found = deltas.newest(tmp_path, artifact.version)
    assert found is not None
    assert (found.base, found.seq, found.about) == (artifact.version, 1, {"offset": 10})
    np.testing.assert_array_equal(found.changes["rank"]["embedding"].rows, ROWS)
    np.testing.assert_array_equal(found.changes["rank"]["embedding"].values, VALUES)
    assert found.n_rows == 2


def test_rows_move_and_nothing_else_does(tmp_path: Path, artifact: Artifact) -> None:
    table = artifact.part("rank").arrays["embedding"]
    before = table.copy()
    deltas.apply(artifact, moved(artifact.version))
    np.testing.assert_array_equal(table[ROWS], VALUES)
    rest = np.setdiff1d(np.arange(5), ROWS)
    np.testing.assert_array_equal(table[rest], before[rest])
    again = load(tmp_path, artifact.version).part("rank").arrays["embedding"]
    np.testing.assert_array_equal(again, before, err_msg="the files stay as they are")
    assert not artifact.part("rank").arrays["other"].flags.writeable


def test_what_does_not_belong_is_refused_and_changes_nothing(tmp_path: Path, artifact: Artifact) -> None:
    table = artifact.part("rank").arrays["embedding"]
    before = table.copy()
    other = "f" * 12
    both = {"rank": {"embedding": Change(ROWS, VALUES), "online": Change(ROWS, VALUES)}}
    bad = [
        (moved(other), other),
        (Delta(artifact.version, 1, both), "online"),
        (moved(artifact.version, values=np.full((2, 2), np.nan, np.float32)), "finite"),
        (moved(artifact.version, values=np.zeros((2, 3), np.float32)), "values"),
        (Delta(artifact.version, 1, {"rank": {"embedding": Change(ROWS + 4, VALUES)}}), "row 7"),
        (Delta(artifact.version, 1, {"nobody": {"embedding": Change(ROWS, VALUES)}}), "nobody"),
    ]
    for delta, word in bad:
        with pytest.raises(ArtifactError, match=word):
            deltas.apply(artifact, delta)
    np.testing.assert_array_equal(table, before)
    with pytest.raises(ArtifactError, match="read-only"):
        deltas.apply(load(tmp_path, artifact.version), moved(artifact.version))


def test_the_newest_that_can_be_read_counts(tmp_path: Path, artifact: Artifact) -> None:
    for seq in (1, 2, 3):
        path = deltas.write(tmp_path, moved(artifact.version, seq, offset=10 * seq))
    path.write_bytes(path.read_bytes()[:-40])
    found = deltas.newest(tmp_path, artifact.version)
    assert found is not None
    assert found.seq == 2
    assert deltas.newest(tmp_path, artifact.version, after=2) is None
    early = deltas.newest(tmp_path, artifact.version, upto=19)
    assert early is not None
    assert early.seq == 1
    with pytest.raises(ArtifactError, match="delta that feedmill wrote"):
        deltas.read(path)


def test_a_flipped_byte_is_found(tmp_path: Path, artifact: Artifact) -> None:
    path = deltas.write(tmp_path, moved(artifact.version))
    raw = bytearray(path.read_bytes())
    raw[raw.index(VALUES.tobytes())] ^= 1
    path.write_bytes(bytes(raw))
    assert deltas.newest(tmp_path, artifact.version) is None


def test_deltas_go_with_their_version(tmp_path: Path, artifact: Artifact) -> None:
    deltas.write(tmp_path, moved(artifact.version))
    others = [published(tmp_path, seed) for seed in (1, 2, 3)]
    assert artifact.version in collect(tmp_path, keep=2)
    deltas.write(tmp_path, moved(others[-1]))
    assert deltas.newest(tmp_path, artifact.version) is None
    assert deltas.newest(tmp_path, others[-1]) is not None
    with pytest.raises(ArtifactError, match="12 hex"):
        deltas.write(tmp_path, moved("../.."))
