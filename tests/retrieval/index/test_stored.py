from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feedmill.core.errors import ArtifactError
from feedmill.retrieval.index import VectorIndex
from feedmill.retrieval.index.stored import MAGIC, pack, read, unpack

VECTORS = np.random.default_rng(0).standard_normal((4000, 8)).astype(np.float32)


def packed(kind: str = "ivf") -> np.ndarray:
    return VectorIndex.build(VECTORS, kind).packed()


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "lsh"])
def test_beside_the_vectors_it_is_small(kind: str) -> None:
    whole = VectorIndex.build(VECTORS, {"kind": kind})
    assert whole.packed().nbytes < pack(unpack(whole.packed(), VECTORS), with_vectors=True).nbytes - VECTORS.nbytes // 2
    again = VectorIndex(unpack(whole.packed(), VECTORS))
    assert again.search(VECTORS[5:9], 7)[0].tolist() == whole.search(VECTORS[5:9], 7)[0].tolist()


def test_an_opened_file_is_mapped_and_not_read(tmp_path: Path) -> None:
    VectorIndex.build(VECTORS, "ivf").save(tmp_path / "index")
    held = read(tmp_path / "index")
    owner = held.vectors
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert isinstance(owner, np.memmap)
    assert not held.vectors.flags.writeable


def test_other_vectors_are_refused() -> None:
    with pytest.raises(ArtifactError, match="vectors of shape"):
        unpack(packed(), VECTORS[:-1])
    with pytest.raises(ArtifactError, match="no vectors"):
        unpack(packed())


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    for junk in (
        b"",
        b"PK\x03\x04" + b"\0" * 100,
        MAGIC,
        MAGIC + b"\xff" * 8,
        MAGIC + (9).to_bytes(8, "little") + b"{" * 99,
    ):
        (tmp_path / "junk").write_bytes(junk)
        with pytest.raises(ArtifactError) as error:
            VectorIndex.open(tmp_path / "junk")
        assert "junk" in error.value.given
    with pytest.raises(ArtifactError, match="No such file"):
        VectorIndex.open(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match="cannot write"):
        VectorIndex.build(VECTORS, "flat").save(tmp_path / "no folder" / "index")


def test_damage_shows_in_the_checksums_and_in_sizes() -> None:
    data = packed()
    data[-500] ^= 1
    with pytest.raises(ArtifactError, match="is damaged"):
        unpack(data, VECTORS)
    with pytest.raises(ArtifactError, match="cut short"):
        unpack(data[:-1], VECTORS, verify=False)


def test_a_kind_that_is_not_installed_is_named() -> None:
    data = packed().tobytes().replace(b'"kind":"ivf","config"', b'"kind":"ivx","config"')
    with pytest.raises(ArtifactError, match='no kind "ivx"'):
        unpack(np.frombuffer(data, np.uint8), VECTORS)
