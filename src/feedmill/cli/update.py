"""``feedmill update``: learn on from what the log has got since, by a full pass or by user-id rows alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedmill.cli.learn import trainer
from feedmill.cli.models import canaries
from feedmill.cli.options import HERE, Dir, Set, workspace
from feedmill.core.errors import ConfigError
from feedmill.core.status import OK, report
from feedmill.core.workspace import Workspace

if TYPE_CHECKING:
    from feedmill.publish.delta import Delta


def update(
    folder: Dir = HERE,
    settings: Set = None,
    full: Annotated[bool, typer.Option("--full", help="One pass of every model; a new version, if it holds.")] = False,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="User-id rows alone, in order; a running service takes them up.")
    ] = False,
) -> None:
    """Learn on from where the last update stopped: every night --full, every few minutes --incremental."""
    if full == incremental:
        raise ConfigError("update without one of its two ways", "--full or --incremental")
    typer.echo((run_full if full else run_incremental)(workspace(folder, settings)))


def run_full(at: Workspace) -> str:
    """The nightly pass, the gate, and a promoted version; a sentence about it.

    Raises:
        ArtifactError: there is no version to go on from, or the gate refuses the new one; what is served stays.
        DataError: nothing has come since.
    """
    from feedmill.features.spec import from_dict
    from feedmill.publish import PublishConfig, collect, load, promote, publishing, write
    from feedmill.serve.evaluate import trial
    from feedmill.state import Replay

    trainer()
    from feedmill.train.update.nightly import learned_upto, nightly

    base = load(at.artifacts)
    night = nightly(at, base.parts, learned_upto(base.about), Replay.of_workspace(at))
    about: dict[str, Any] = {**night.about, "base": base.version, "metrics": night.new, "metrics_of_base": night.base}
    about["specs"] = {n: from_dict(p.config["spec"]).hash for n, p in night.parts.items() if "spec" in p.config}
    about["run"] = {"score_ms": trial(at, night.parts, about, night.replay)}
    config = at.section("publish", PublishConfig)
    with publishing(at.artifacts):
        version = write(at.artifacts, night.parts, about)
        promote(at.artifacts, version, config.gate, who="update --full")
        collect(at.artifacts, config.keep, canaries(at))
    said = ", ".join(f"{head}: NE {night.base['ne'].get(head, float('nan')):.4f} -> {ne:.4f}"
                     for head, ne in night.new.get("ne", {}).items())  # fmt: skip
    return f"published and promoted version {version}, from {base.version}{': ' + said if said else ''}"


def run_incremental(at: Workspace) -> str:
    """A step over each stretch of what has closed since the last one; a sentence about it.

    Raises:
        ArtifactError: there is no version to go on from.
    """
    from feedmill.log.whole import open_log
    from feedmill.publish import load
    from feedmill.publish.delta import newest, write
    from feedmill.samples.guard import GuardConfig, verdict_of
    from feedmill.samples.joiner.run import stored

    trainer()
    from feedmill.train.update.closed import closed
    from feedmill.train.update.guarded import Guarded
    from feedmill.train.update.incremental import Incremental
    from feedmill.train.update.nightly import learned_upto

    base = load(at.artifacts)
    last = newest(at.artifacts, base.version)
    guarded = Guarded(Incremental(at, base, last), last, verdict_of(at), at.section("samples.guard", GuardConfig))
    undone = guarded.undo(lambda fits: newest(at.artifacts, base.version, fits=fits))
    if undone is not None:
        write(at.artifacts, undone)
        typer.echo(f"warning: what a stretch in quarantine had taught is undone, {undone.n_rows:,} rows are as before")
    first = learned_upto(base.about)
    offset, stop = guarded.offset(first), min(stored(at), guarded.judged)
    n, delta, log = 0, None, open_log(at)
    try:
        for found in closed(at, log, offset, stop, first, guarded.may_learn, guarded.learner.heads):
            delta, order = guarded.step(found.samples, found.probed, found.state, found.upto)
            n += len(found.samples)
            if order is not None:  # before the delta: who is stopped in between has learned nothing
                log.append(order)
            write(at.artifacts, delta)
            _tell(at, delta, "quarantined" if order is not None else OK)
            if order is not None:
                return f"warning: a step of {len(found.samples):,} rows is not kept{guarded.words}"
    finally:
        log.close()
    if delta is None:
        if not stop:
            return "nothing has been joined and judged yet: feedmill join turns the log into what is learned from"
        return f"nothing new whose window closed by offset {stop:,}{guarded.words}"
    return f"{n:,} rows closed by offset {delta.about['offset']:,}: {delta.n_rows:,} rows moved, step {delta.seq}"


def _tell(at: Workspace, delta: Delta, state: str) -> None:
    figures = {"samples": delta.about["n_samples"], "rows_moved": delta.n_rows, "step": delta.seq}
    words = [f"on version {delta.base}"]
    report(at, "learn", offset=int(delta.about["offset"]), state=state, figures=figures, words=words)
