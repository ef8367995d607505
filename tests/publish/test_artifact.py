from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from feedmill import publish
from feedmill.core.batches import Part
from feedmill.core.errors import ArtifactError
from feedmill.publish.manifest import Manifest, version_of


@pytest.fixture
def version(tmp_path: Path) -> str:
    arrays = {"item": np.arange(3000, dtype=np.float32)}
    made = publish.write(tmp_path, {"p": Part("k", {}, arrays, {"graph.onnx": b"graph"})}, {"spec": "ab"})
    publish.promote(tmp_path, made)
    return made


def edit(root: Path, version: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = root / version / "manifest.json"
    raw = json.loads(path.read_text("utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), "utf-8")


def test_arrays_are_mapped_and_read_only(tmp_path: Path, version: str) -> None:
    array = publish.load(tmp_path).part("p").arrays["item"]
    assert type(array) is np.ndarray
    assert isinstance(array.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_nothing_promoted(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no artifact is promoted") as e:
        publish.load(tmp_path / "never")
    assert "feedmill train" in e.value.fix
    assert not (tmp_path / "never").exists(), "asking makes nothing"


def test_a_version_that_is_not_there(tmp_path: Path, version: str) -> None:
    with pytest.raises(ArtifactError, match="no version 0123456789ab"):
        publish.load(tmp_path, "0123456789ab")
    for name in ("../" + version, "", version.upper() + "/", ".lock"):
        with pytest.raises(ArtifactError, match="12 hex digits"):
            publish.load(tmp_path, name)


def test_a_part_that_is_not_there(tmp_path: Path, version: str) -> None:
    with pytest.raises(ArtifactError, match="no part 'q'") as e:
        publish.load(tmp_path).part("q")
    assert e.value.expected == "['p']"


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def link_elsewhere(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (Path.unlink, "no file"),
        (cut_short, "bytes"),
        (flip_a_byte, "sha256"),
        (link_elsewhere, "is a link"),
    ],
)
@pytest.mark.parametrize("file", ["item.npy", "graph.onnx"])
def test_a_damaged_file_is_refused(
    tmp_path: Path, version: str, file: str, damage: Callable[[Path], None], says: str
) -> None:
    damage(tmp_path / version / "p" / file)
    with pytest.raises(ArtifactError, match=says) as e:
        publish.load(tmp_path)
    assert "train again" in e.value.fix


def test_sizes_are_checked_even_when_hashes_are_not(tmp_path: Path, version: str) -> None:
    path = tmp_path / version / "p" / "item.npy"
    flip_a_byte(path)
    publish.load(tmp_path, verify=False)
    cut_short(path)
    with pytest.raises(ArtifactError, match="bytes"):
        publish.load(tmp_path, verify=False)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"format": "1"}', b"\xff\xfe", b'{"models": []}'])
def test_a_foreign_manifest_is_refused(tmp_path: Path, version: str, text: bytes) -> None:
    (tmp_path / version / "manifest.json").write_bytes(text)
    with pytest.raises(ArtifactError):
        publish.load(tmp_path)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0123456789ab").mkdir()
    with pytest.raises(ArtifactError, match="manifest.json"):
        publish.load(tmp_path, "0123456789ab")


def test_a_newer_format_is_refused_with_what_to_do(tmp_path: Path, version: str) -> None:
    edit(tmp_path, version, lambda raw: raw.update(format=99, something="new"))
    with pytest.raises(ArtifactError, match="format 99") as e:
        publish.load(tmp_path)
    assert "newer feedmill" in e.value.fix


def test_an_altered_manifest_is_refused(tmp_path: Path, version: str) -> None:
    edit(tmp_path, version, lambda raw: raw["about"].update(spec="other"))
    with pytest.raises(ArtifactError, match="its contents make"):
        publish.load(tmp_path)


def test_a_renamed_folder_is_refused(tmp_path: Path, version: str) -> None:
    (tmp_path / version).rename(tmp_path / "0123456789ab")
    with pytest.raises(ArtifactError, match="the folder's name"):
        publish.load(tmp_path, "0123456789ab")


def test_an_unknown_field_in_the_manifest_is_refused(tmp_path: Path, version: str) -> None:
    edit(tmp_path, version, lambda raw: raw["parts"]["p"].update(arrayz={}))
    with pytest.raises(ArtifactError, match="arrayz"):
        publish.load(tmp_path)


def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, version: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    entry = {"sha256": hashlib.sha256(b"x").hexdigest(), "size": 1}
    for part, file in (("p", "../../secret"), ("p", str(secret)), ("..", "secret"), ("../", "secret")):
        edit(
            tmp_path,
            version,
            lambda raw, p=part, f=file: raw.update(parts={p: {"kind": "k", "config": {}, "blobs": {f: entry}}}),
        )
        with pytest.raises(ArtifactError, match=r"file|part"):
            publish.load(tmp_path)


def test_an_array_of_objects_is_refused_before_anything_runs(tmp_path: Path) -> None:
    version = publish.write(tmp_path, {"p": Part("k", {}, {}, {"a.npy": _npy_of_objects(tmp_path)})}, {})
    as_array = {"p": {"kind": "k", "config": {}, "blobs": {}}}
    raw = json.loads((tmp_path / version / "manifest.json").read_text("utf-8"))
    as_array["p"]["arrays"] = {"a": raw["parts"]["p"]["blobs"]["a.npy"]}
    raw["parts"] = as_array
    raw["version"] = version_of(msgspec.convert(raw, Manifest))
    (tmp_path / version / "manifest.json").write_text(json.dumps(raw), "utf-8")
    (tmp_path / version).rename(tmp_path / raw["version"])
    with pytest.raises(ArtifactError, match="without objects|Object arrays|allow_pickle"):
        publish.load(tmp_path, raw["version"])


def _npy_of_objects(folder: Path) -> bytes:
    path = folder / "objects.npy"
    np.save(path, np.array([{}, None], object), allow_pickle=True)
    return path.read_bytes()
