"""``feedmill update``: learn on from what the log has got since, by a full pass or by user-id rows alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from feedmill.cli.learn import trainer
from feedmill.cli.models import canaries
from feedmill.cli.options import HERE, Dir, Set, workspace
from feedmill.core.errors import ConfigError
from feedmill.core.status import OK, report
from feedmill.core.workspace import Workspace


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
    from feedmill.train.update.nightly import nightly

    base = load(at.artifacts)
    night = nightly(at, base.parts, int(base.about["offset"]), Replay.of_workspace(at))
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
    """One step over what has been waited for; a sentence about it.

    Raises:
        ArtifactError: there is no version to go on from.
    """
    from feedmill.log.whole import open_log
    from feedmill.publish import load
    from feedmill.publish.delta import newest, write
    from feedmill.samples import SamplesConfig
    from feedmill.samples.guard import GuardConfig, verdict_of
    from feedmill.state import StateConfig

    trainer()
    from feedmill.train.update.config import UpdateConfig
    from feedmill.train.update.guarded import Guarded
    from feedmill.train.update.incremental import Incremental
    from feedmill.train.update.source import Follower, state_before

    base = load(at.artifacts)
    last = newest(at.artifacts, base.version)
    guarded = Guarded(Incremental(at, base, last), last, verdict_of(at), at.section("samples.guard", GuardConfig))
    undone = guarded.undo(lambda fits: newest(at.artifacts, base.version, fits=fits))
    if undone is not None:
        write(at.artifacts, undone)
        typer.echo(f"warning: what a stretch in quarantine had taught is undone, {undone.n_rows:,} rows are as before")
    offset = guarded.offset(int(base.about["offset"]))
    wait_s = at.section("update", UpdateConfig).incremental.wait_s
    log = open_log(at)
    try:
        samples = at.section("samples", SamplesConfig, drop=["interest", "join", "guard"])
        state = state_before(at.learner, log, at.section("state", StateConfig), offset, at.state)
        follower = Follower(log, state, samples, offset, wait_s, guarded.learner.heads)
        rows = follower.ready(guarded.may_learn, guarded.judged_ms)
        if rows is None:
            return f"nothing that has been waited for {wait_s:g} s since offset {offset:,}{guarded.words}"
        delta, order = guarded.step(*rows, follower.state, follower.offset)
        if order is not None:  # before the delta: who is stopped in between has learned nothing, and nothing is lost
            log.append(order)
        path = write(at.artifacts, delta)
    finally:
        log.close()
    follower.state.save(at.learner)
    figures = {"samples": delta.about["n_samples"], "rows_moved": delta.n_rows, "step": delta.seq}
    now = OK if order is None else "quarantined"
    report(at, "learn", offset=follower.offset, state=now, figures=figures, words=[f"on version {base.version}"])
    if order is not None:
        return f"warning: {len(rows[0]):,} rows up to offset {follower.offset:,} are put in quarantine{guarded.words}"
    return f"{delta.about['n_samples']:,} rows up to offset {follower.offset:,}: {delta.n_rows:,} rows moved, {path}"
