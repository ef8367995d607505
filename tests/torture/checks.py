"""What holds in the end."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from feedmill.core.events import Kind
from feedmill.core.workspace import Workspace
from feedmill.publish import promotions, verify
from feedmill.samples.joiner.run import folder_of
from feedmill.samples.joiner.run import run as join
from feedmill.state import Replay

if TYPE_CHECKING:
    from torture.harness import Torture

Check = tuple[str, bool, str]


def all_of(torture: Torture) -> list[Check]:
    """Every check, with its figures."""
    return [*acknowledged(torture), *samples(torture), *served(torture)]


def acknowledged(torture: Torture) -> list[Check]:
    """Every acknowledged event stands in the log, and no event id stands there twice."""
    found = Counter(Replay.of_workspace(torture.at).events.table.column("event_id").to_pylist())
    del found[""]
    lost = [event for event in torture.acknowledged if event not in found]
    doubled = [event for event, n in found.items() if n > 1]
    n = len(torture.acknowledged)
    return [
        ("no acknowledged event is lost", not lost, f"{n - len(lost):,} of {n:,} in the log; {lost[:3]}"),
        ("no event is there twice", not doubled, f"{len(found):,} event ids; {doubled[:3]}"),
    ]


def samples(torture: Torture) -> list[Check]:
    """The files of samples are those of one run over the same log that nobody interrupted."""
    there = torture.at.path.with_name(torture.at.path.name + "-uninterrupted")
    there.mkdir()
    for path in [torture.at.path / "feedmill.toml", *torture.at.path.glob("log.sqlite*")]:
        shutil.copy(path, there)
    ran = join(Workspace.open(there))
    ours, theirs = digests(folder_of(torture.at)), digests(there / "samples")
    differ = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    kinds = Counter(Replay.of_workspace(torture.at).events.table.column("kind").to_pylist())
    counts = ran.counts
    shown = counts.accepted + counts.duplicate + counts.stale + counts.organic
    uneven = counts.uneven() + ([] if shown == kinds[int(Kind.IMPRESSION)] else [f"{shown} impressions seen"])
    said = msgspec.json.decode((folder_of(torture.at) / "joined.json").read_bytes())["counts"]
    same, refused = said == msgspec.to_builtins(counts), shown - counts.accepted
    sums = f"{shown:,} impressions = {counts.complete:,} samples + {counts.waiting:,} waiting + {refused:,} refused"
    is_equal = bool(ours) and not differ
    return [
        ("samples are those of an uninterrupted run, byte for byte", is_equal, f"{len(ours)} files; {differ[:3]}"),
        ("counts add up, and are those of that run", same and not uneven, f"{sums}; {uneven}"),
    ]


def digests(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every Parquet file."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.parquet")}


def served(torture: Torture) -> list[Check]:
    """Every version that ever answered was whole, and somebody had promoted it; what lies there is whole too."""
    met, root = torture.prober.versions, torture.at.artifacts
    unknown = set(met) - {p.version for p in promotions(root)}
    broken = {version: wrong for version, wrong in verify(root).items() if wrong}
    feeds = f"{torture.prober.n_feeds:,} feeds from {len(met)} versions, each verified when it was met"
    return [
        ("only whole versions served", bool(met) and not unknown, f"{feeds}; {sorted(unknown)}"),
        ("every version on the disk is whole", not broken, f"{len(verify(root))} versions; {broken}"),
    ]
