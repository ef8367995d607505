"""``feedmill doctor``: is everything here, and if not, what to do."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.markup import escape

from feedmill.cli.options import workspace
from feedmill.cli.show import out
from feedmill.core.clock import WallClock
from feedmill.core.errors import FeedmillError
from feedmill.core.workspace import Workspace

BASE = (
    "numpy",
    "pyarrow",
    "polars",
    "numba",
    "msgspec",
    "onnxruntime",
    "faiss",
    "fastapi",
    "uvicorn",
)
TRAIN = ("torch", "onnx", "onnxscript")
DAY_MS = 86_400_000


class Finding(NamedTuple):
    """One check: fine, worth knowing, or broken, with what to do."""

    level: str  # "ok", "note" or "bad"
    what: str
    do: str = ""


def doctor(
    folder: Annotated[Path | None, typer.Option("--dir", "-d", help="Also check this workspace.")] = None,
) -> None:
    """Check the installation, and a workspace if one is here; exit 1 if anything is broken."""
    here = Path()
    if folder is None and (here / "feedmill.toml").exists():
        folder = here
    bad = False
    for finding in [*installation(), *(of_workspace(folder) if folder else ())]:
        bad = bad or finding.level == "bad"
        mark = {"ok": "[green]ok[/]  ", "note": "[yellow]note[/]", "bad": "[red]bad[/] "}[finding.level]
        out.print(f"{mark} {escape(finding.what)}" + (f"\n     do: {escape(finding.do)}" if finding.do else ""))
    if bad:
        raise typer.Exit(1)


def installation() -> Iterator[Finding]:
    """Python, packages, a kernel that compiles, a disk that syncs."""
    is_new = sys.version_info >= (3, 11)
    yield Finding(
        "ok" if is_new else "bad",
        f"Python {sys.version.split()[0]}",
        "" if is_new else "install Python 3.11+",
    )
    yield from _packages(BASE, "bad", "pip install feedmill")
    yield from _packages(TRAIN, "note", "to train here: pip install 'feedmill[train]'")
    yield _kernels()
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield Finding("ok" if free > 1 else "bad", f"{free:.1f} GB free on this disk", "" if free > 1 else "make room")
    yield Finding("ok", f"{os.cpu_count()} cores; a durable write takes {_fsync_ms():.1f} ms on this disk")


def _packages(names: tuple[str, ...], level: str, do: str) -> Iterator[Finding]:
    missing = []
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as e:
            missing.append(f"{name} ({e})")
    if missing:
        yield Finding(level, f"cannot be imported: {', '.join(missing)}", do)
    else:
        yield Finding("ok", f"packages: {', '.join(names)}")


def _kernels() -> Finding:
    from feedmill.state import State

    start = time.perf_counter()
    try:
        State().warm()
    except Exception as e:
        return Finding("bad", f"kernels do not compile: {e}", "pip install -U numba llvmlite")
    return Finding("ok", f"kernels ready in {time.perf_counter() - start:.1f} s (compiled once, then cached)")


def _fsync_ms() -> float:
    with tempfile.NamedTemporaryFile(dir=".") as file:
        start = time.perf_counter()
        for _ in range(10):
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - start) * 100


def of_workspace(folder: Path) -> Iterator[Finding]:
    """Config, log, artifact of a workspace."""
    from feedmill.cli.start import parameters
    from feedmill.log.whole import open_log

    try:
        at = workspace(folder)
        yield Finding("ok", f"{folder}/feedmill.toml: {len(parameters(at))} parameters")
        log = open_log(at)
    except FeedmillError as e:
        yield Finding("bad", e.given, e.fix or e.expected)
        return
    try:
        yield from _log(log, at.raw.get("serve", {}).get("clock", "wall"))
        yield _serves(at)
        yield from _indexes(at)
        yield from _keys(at, WallClock().now_ms())
    except FeedmillError as e:
        yield Finding("bad", e.given, e.fix or e.expected)
    finally:
        log.close()


def _log(log: object, clock: str) -> Iterator[Finding]:
    end: int = log.end  # type: ignore[attr-defined]
    if end == 0:
        yield Finding("note", "the log is empty", "feedmill ingest FILE, or feedmill data import ml-100k")
        return
    newest = int(log.read(end - 1)[0].numpy("time_ms").max())  # type: ignore[attr-defined]
    days = (time.time() * 1e3 - newest) / DAY_MS
    yield Finding("ok", f"the log holds {end:,} events, the newest {days:,.0f} days old")
    if days > 60 and clock == "wall":
        yield Finding(
            "note", "an old log served by today's clock looks empty to recent counters", 'serve.clock = "log"'
        )


def _keys(at: Workspace, now_ms: int) -> Iterator[Finding]:
    """Who may ask the service, and what should be looked at before it becomes a fault."""
    from feedmill.serve.keys import stored

    valid = [key for key in stored(at.keys) if key.state(now_ms) == "valid"]
    if not at.keys.exists():
        yield Finding("ok", "no keys: the service answers everybody on this machine, and listens to no other")
        return
    yield Finding(
        "ok" if valid else "note", f"{len(valid)} keys hold", "" if valid else "feedmill keys create --role feed"
    )
    ending = [key.id for key in valid if key.expires_ms is not None and key.expires_ms < now_ms + 14 * DAY_MS]
    if ending:
        yield Finding("note", f"within 14 days end: {', '.join(ending)}", "make others, then hand them out")
    if at.keys.stat().st_mode & 0o077:
        yield Finding("note", f"{at.keys} is not its owner's alone", f"chmod 600 {at.keys}")


def _indexes(at: Workspace) -> Iterator[Finding]:
    """What the builds of the promoted version's vector indexes found of their recall."""
    from feedmill.publish import current, load

    if current(at.artifacts) is None:
        return
    for name, part in load(at.artifacts, verify=False).parts.items():
        report = part.config.get("index")
        if isinstance(report, Mapping):
            wanted, found = report["asked"].get("recall", 0.0), report.get("recall", 1.0)
            is_enough = found >= wanted
            yield Finding("ok" if is_enough else "note", index_line(name, report),
                          "" if is_enough else f"{wanted} was asked for: try another index of {name}")  # fmt: skip


def index_line(name: str, report: Mapping[str, Any]) -> str:
    """What a build says of a vector index, in words."""
    measured = "nothing in it"
    if report["n_items"]:
        asked = f"asked with {report['n_queries']} {report['queries']}"
        measured = f"recall@{report['k']} {report['recall']:.3f} of exact, {asked}"
    if report["kind"] == "flat":
        measured = "exact"
    return f"index of {name}: {report['kind']}, {report['n_items']:,} items, {measured}"


def _serves(at: Workspace) -> Finding:
    """Open the feed as a server would."""
    from feedmill.publish import current
    from feedmill.serve.engine import Engine

    with Engine.open(at) as engine:
        missing = engine.status()["problems"]
        engine.recommend("doctor", n=1, expose=False, deadline_ms=60_000)
    if current(at.artifacts) is None:
        return Finding("note", "no model is promoted: feeds fall back to popularity", "feedmill train")
    if missing:
        return Finding("note", f"the feed goes without: {', '.join(missing)}", "feedmill train")
    return Finding("ok", f"version {current(at.artifacts)} serves")
