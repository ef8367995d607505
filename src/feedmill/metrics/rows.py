"""What every bench and evaluation writes with ``--json``: figures that carry where and how they were measured."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from os import cpu_count
from pathlib import Path

import msgspec

PACKAGES = ("feedmill", "numpy", "polars", "pyarrow", "numba", "onnxruntime", "faiss-cpu", "torch")


def machine() -> str:
    """Processor, cores, system and Python, as this process sees them."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        name = next(x.partition(":")[2].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def versions() -> dict[str, str]:
    """Installed versions of what figures depend on."""
    out = {}
    for package in PACKAGES:
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            continue
    return out


class BenchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One figure.

    ``low`` and ``high`` bound it (95 % interval, or p25 and p75 of timings: ``unit`` says); ``peer`` is the rival
    measured in the same run and ``ratio`` ours over theirs.
    """

    what: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    peer: str = ""
    ratio: float | None = None
    seed: int = 0
    split: str = ""
    machine: str = msgspec.field(default_factory=machine)
    versions: dict[str, str] = msgspec.field(default_factory=versions)


def encoded(rows: Sequence[BenchRow]) -> bytes:
    """The rows as one JSON list; NumPy's numbers are numbers."""
    return msgspec.json.encode(rows, enc_hook=float)


def write(rows: Sequence[BenchRow], path: Path) -> None:
    """The rows as a file of one JSON list."""
    path.write_bytes(msgspec.json.format(encoded(rows), indent=1) + b"\n")
