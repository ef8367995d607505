from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill import publish
from feedmill.core.batches import Part
from feedmill.core.clock import FixedClock, rng
from feedmill.core.errors import ArtifactError


def part(seed: int = 0, **blobs: bytes) -> Part:
    draw = np.random.default_rng(seed)
    arrays = {"item": draw.random((7, 3), np.float32), "row.of": np.arange(7, dtype=np.int32)}
    return Part("itemcf", {"top": 100, "weights": {"like": 2.0}}, arrays, blobs)


def test_what_is_written_is_what_is_loaded(tmp_path: Path) -> None:
    parts = {"itemcf": part(), "rank": Part("mmoe", {}, {}, {"graph.onnx": b"\x00graph", "notes": b""})}
    about = {"spec": "ab12", "metrics": {"ndcg_at_10": 0.31}, "offset": 100_000}
    version = publish.write(tmp_path, parts, about, clock=FixedClock(1234))
    loaded = publish.load(tmp_path, version)
    assert (loaded.version, loaded.created_ms, loaded.about) == (version, 1234, about)
    assert loaded.part("itemcf").kind == "itemcf"
    assert loaded.part("itemcf").config == {"top": 100, "weights": {"like": 2.0}}
    assert dict(loaded.part("rank").blobs) == {"graph.onnx": b"\x00graph", "notes": b""}
    for name, array in parts["itemcf"].arrays.items():
        np.testing.assert_array_equal(loaded.part("itemcf").arrays[name], array)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 4), np.float32),
        np.array(3.5),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(10)[::3],
        np.array(["a", "bc"]),
        np.array([True, False]),
        np.arange(4, dtype=np.float16),
    ],
    ids=["empty", "scalar", "fortran", "strided", "text", "bool", "half"],
)
def test_arrays_of_every_make_come_back_equal(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    version = publish.write(tmp_path, {"p": Part("k", {}, {"a": array})}, {})
    loaded = publish.load(tmp_path, version).part("p").arrays["a"]
    assert (loaded.shape, loaded.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(loaded, array)
    assert loaded.flags.c_contiguous


def test_the_version_is_made_by_the_contents(tmp_path: Path) -> None:
    about = {"seed": 1, "run": {"seconds": 3.1}}
    first = publish.write(tmp_path / "a", {"p": part()}, about, clock=FixedClock(1))
    again = publish.write(tmp_path / "b", {"p": part()}, {"run": {}, "seed": 1}, clock=FixedClock(2))
    assert first == again, "time and the run's own story do not enter it"
    assert publish.write(tmp_path / "a", {"p": part(seed=1)}, about) != first
    assert publish.write(tmp_path / "a", {"q": part()}, about) != first
    assert publish.write(tmp_path / "a", {"p": part(note=b"")}, about) != first
    assert publish.write(tmp_path / "a", {"p": part()}, {"seed": 2}) != first


def test_the_same_contents_keep_the_folder_that_is_there(tmp_path: Path) -> None:
    version = publish.write(tmp_path, {"p": part()}, {}, clock=FixedClock(1))
    assert publish.write(tmp_path, {"p": part()}, {}, clock=FixedClock(2)) == version
    assert publish.load(tmp_path, version).created_ms == 1


def test_the_same_contents_mend_a_damaged_folder(tmp_path: Path) -> None:
    version = publish.write(tmp_path, {"p": part()}, {})
    (tmp_path / version / "p" / "item.npy").write_bytes(b"broken")
    assert publish.write(tmp_path, {"p": part()}, {}) == version
    publish.load(tmp_path, version)


def test_numpy_scalars_and_nan_in_about(tmp_path: Path) -> None:
    about = {
        "auc": np.float32(0.5),
        "auc64": np.float64(0.25),
        "n": np.int64(7),
        "none": float("nan"),
        3: (1, 2),
    }
    loaded = publish.load(tmp_path, publish.write(tmp_path, {}, about))
    assert loaded.about == {"auc": 0.5, "auc64": 0.25, "n": 7, "none": None, "3": [1, 2]}


@pytest.mark.parametrize("name", ["", "../up", "/etc", "a/b", "Upper", ".hidden", "a b", "manifest.json", "x" * 65])
def test_a_part_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="part"):
        publish.write(tmp_path, {name: part()}, {})
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["../../x", "a/b", "", ".x", "..", "a\x00b"])
def test_a_file_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match=r"file"):
        publish.write(tmp_path, {"p": Part("k", {}, {}, {name: b"x"})}, {})


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="two files"):
        publish.write(tmp_path, {"p": Part("k", {}, {"a": np.ones(1)}, {"A.npy": b""})}, {})


def test_objects_and_values_that_are_not_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="dtype object"):
        publish.write(tmp_path, {"p": Part("k", {}, {"ids": np.array(["a", None], object)})}, {})
    with pytest.raises(ArtifactError, match="set|JSON"):
        publish.write(tmp_path, {"p": Part("k", {"x": object()}, {})}, {})
    assert publish.versions(tmp_path) == []


# What the child processes below run: `writer(root, seed)` writes 4 arrays of 1 MB and tells how far it is.
CHILD = """
import sys
from pathlib import Path
import numpy as np
from feedmill import publish
from feedmill.core.batches import Part

class Slow(dict):
    "Stops for good before array `stop`, once its reader knows."
    def items(self):
        for i, pair in enumerate(super().items()):
            if i == stop:
                print("half way", flush=True)
                sys.stdin.read()
            yield pair

def parts(seed):
    draw = np.random.default_rng(seed)
    return {"p": Part("k", {}, Slow({f"a{i}": draw.random(130_000) for i in range(4)}))}

root, stop = Path(sys.argv[1]), int(sys.argv[2])
"""


def child(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD + code, *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str]) -> None:
    with process:
        process.send_signal(signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [0, 2])
def test_a_writer_killed_half_way_leaves_the_old_version_current(tmp_path: Path, stop: int) -> None:
    old = publish.write(tmp_path, {"p": part()}, {})
    publish.promote(tmp_path, old)
    process = child("publish.write(root, parts(1), {})", tmp_path, stop)
    assert process.stdout is not None
    assert process.stdout.readline() == "half way\n"
    assert len(list((tmp_path / ".writing" / "p").iterdir())) == stop, "it really was half way"
    kill(process)
    assert publish.load(tmp_path).version == old
    assert [v.version for v in publish.versions(tmp_path)] == [old]
    new = publish.write(tmp_path, {"p": part(seed=1)}, {})
    publish.promote(tmp_path, new)
    assert publish.load(tmp_path).version == new
    assert not (tmp_path / ".writing").exists(), "the next writer clears what the killed one left"


@pytest.mark.slow
def test_killed_at_any_moment_what_is_current_loads(tmp_path: Path) -> None:
    loop = """
for seed in range(10_000):
    version = publish.write(root, parts(seed), {})
    publish.promote(root, version)
    print(version, flush=True)
"""
    for n_before in (1, 4, 9):
        process = child(loop, tmp_path, -1)
        assert process.stdout is not None
        promoted = [process.stdout.readline().strip() for _ in range(n_before)]
        kill(process)
        loaded = publish.load(tmp_path)
        lines = publish.history(tmp_path)
        assert lines[0] == loaded.version
        assert promoted[-1] in lines[:3], "a promotion that was acknowledged is not lost"
        for version in publish.versions(tmp_path):
            publish.load(tmp_path, version.version)


@pytest.mark.slow
def test_killed_at_random_moments_while_somebody_loads(tmp_path: Path) -> None:
    """Writes, promotions, roll backs and collections, killed; at every moment what is current is whole."""
    loop = """
for seed in range(10_000):
    with publish.publishing(root):
        publish.promote(root, publish.write(root, parts(seed), {}), why=str(seed))
    if seed % 5 == 4:
        publish.rollback(root)
    publish.collect(root, keep=2)
    print(seed, flush=True)
"""
    publish.promote(tmp_path, publish.write(tmp_path, {"p": part()}, {}))
    random, n_loads = rng(3, "kill"), 0
    for _ in range(6):
        process = child(loop, tmp_path, -1)
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(int(random.integers(1, 25))):
            served = publish.current(tmp_path)
            assert served is not None
            if not (tmp_path / served).is_dir():  # collected since: two promotions ago
                continue
            for file in publish.artifact.read(tmp_path / served).parts["p"].arrays:
                assert (tmp_path / served / "p" / f"{file}.npy").stat().st_size > 0
            n_loads += 1
        kill(process)
        publish.load(tmp_path)
        assert set(publish.verify(tmp_path).values()) == {""}, "whatever bears a version's name is whole"
        assert set(publish.history(tmp_path)[:2]) <= set(publish.verify(tmp_path)), "there is a way back"
    publish.promote(tmp_path, publish.write(tmp_path, {"p": part(seed=9)}, {}))
    publish.collect(tmp_path, keep=0)
    hidden = {p.name for p in tmp_path.iterdir() if p.name.startswith(".")}
    assert hidden == {".lock"}
    assert n_loads > 20


def test_a_full_disk_is_told_and_changes_nothing(tmp_path: Path) -> None:
    old = publish.write(tmp_path, {"p": part()}, {})
    publish.promote(tmp_path, old)
    code = """
import resource
from feedmill.core.errors import ArtifactError
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))  # a write past this fails as on a full disk
try:
    publish.write(root, parts(1), {})
except ArtifactError as e:
    print("told:", e.fix, flush=True)
"""
    process = child(code, tmp_path, -1)
    out, _ = process.communicate()
    assert out.startswith("told: free space")
    assert publish.load(tmp_path).version == old
    assert not (tmp_path / ".writing").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot write"):
        publish.write(tmp_path / "file" / "artifacts", {}, {})


def test_the_manifest_is_for_people_too(tmp_path: Path) -> None:
    version = publish.write(tmp_path, {"itemcf": part()}, {"spec": "ab12"})
    text = (tmp_path / version / "manifest.json").read_text("utf-8")
    assert text.count("\n") > 10
    entry = json.loads(text)["parts"]["itemcf"]["arrays"]["item"]
    assert entry["size"] == (tmp_path / version / "itemcf" / "item.npy").stat().st_size
