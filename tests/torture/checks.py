"""What holds in the end."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from feedmill.core.events import Kind
from feedmill.core.workspace import Workspace
from feedmill.publish import delta, load, promotions, verify
from feedmill.samples.joiner import JoinConfig, parts
from feedmill.samples.joiner.run import folder_of
from feedmill.samples.joiner.run import run as join
from feedmill.samples.positives import PositivesConfig
from feedmill.samples.rows import HEADS
from feedmill.state import Replay
from feedmill.train.update.nightly import learned_upto

if TYPE_CHECKING:
    from torture.harness import Torture

Check = tuple[str, bool, str]


def all_of(torture: Torture) -> list[Check]:
    """Every check, with its figures."""
    return [*acknowledged(torture), *samples(torture), *served(torture), learned(torture)]


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


def learned(torture: Torture) -> Check:
    """Every delta that was looked at had learned each label that was final by then, once."""
    wrong = {at: (n, expected) for at, (n, expected) in torture.learned.items() if n != expected}
    n = sum(expected for _, expected in torture.learned.values())
    what = "what closed is learned once, and nothing is left out"
    return what, not wrong, f"{n:,} labels in {len(torture.learned)} deltas; {dict(list(wrong.items())[:3])}"


def labels(at: Workspace) -> tuple[tuple[str, int], tuple[int, int]] | None:
    """(version, step) of the newest delta of what serves, the labels that it has learned, and those that were final
    among samples by then; None without one, and where it has left something out, as the guard wants it."""
    now = load(at.artifacts)
    last = delta.newest(at.artifacts, now.version)
    if last is None or last.about["left_out"] or "offset" not in last.about:
        return None
    first, windows = learned_upto(now.about), at.section("samples.join", JoinConfig).windows
    rows = pa.concat_tables(parts.closed(folder_of(at), first, last.about["offset"]))
    window_s = rows.filter(pc.field("offset") >= first)["window_s"].to_pylist()
    heads = {*now.part("rank").config["heads"], PositivesConfig().head}
    final_s = [[windows[k.name.lower()] for k in HEADS[head] if k.name.lower() in windows] for head in heads]
    expected = sum(window_s.count(max(seconds)) for seconds in final_s if seconds)
    return (now.version, last.seq), (last.about["n_labels"], expected)


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
