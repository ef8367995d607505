"""``feedmill train`` and ``feedmill evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from feedmill.cli import show
from feedmill.cli.doctor import index_line
from feedmill.cli.models import canaries
from feedmill.cli.options import HERE, Dir, Json, Set, workspace, writable
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.workspace import Workspace
from feedmill.metrics import rows
from feedmill.metrics.intervals import Interval
from feedmill.serve.evaluate import Evaluation


def train(
    folder: Dir = HERE,
    settings: Set = None,
    no_evaluate: Annotated[bool, typer.Option("--no-evaluate", help="Publish without measuring.")] = False,
    json: Json = None,
) -> None:
    """Fold the log, build channels, train models, evaluate, publish a version and promote it."""
    writable(json)
    version, evaluation = run(workspace(folder, settings), measure=not no_evaluate)
    if evaluation is not None and json is not None:
        rows.write(show.evaluation_rows(evaluation), json)
    typer.echo(f"published and promoted version {version}")


def run(at: Workspace, *, measure: bool = True) -> tuple[str, Evaluation | None]:
    """Train, evaluate, print, publish, promote; the version and what was measured."""
    from feedmill.features.spec import from_dict
    from feedmill.log.whole import open_log
    from feedmill.publish import PublishConfig, collect, promote, publishing, write
    from feedmill.serve.evaluate import check, trial
    from feedmill.serve.evaluate import evaluate as measured

    fit = trainer()
    check(at)
    log = open_log(at)
    try:
        fitted = fit(at, log)
    finally:
        log.close()
    about, evaluation = dict(fitted.about), None
    if "negatives" in about:
        typer.echo(f"samples: {about['n_samples']:,} rows; {about['negatives']}")
    for name, part in fitted.parts.items():
        if isinstance(part.config.get("index"), Mapping):
            typer.echo(index_line(name, part.config["index"]))
    about["from_offset"] = 0
    about["specs"] = {n: from_dict(p.config["spec"]).hash for n, p in fitted.parts.items() if "spec" in p.config}
    about["run"] = {**about.get("run", {}), "score_ms": trial(at, fitted.parts, about, fitted.replay)}
    if measure and len(fitted.split.test):
        evaluation = measured(at, fitted.parts, about, fitted.replay, fitted.split)
        show.evaluation(evaluation)
        about["metrics"] = metrics(evaluation)
    config = at.section("publish", PublishConfig)
    with publishing(at.artifacts):
        version = write(at.artifacts, fitted.parts, about)
        gate = config.gate if evaluation is not None else None  # what was not measured was not meant to be judged
        promote(at.artifacts, version, gate, who="train", why="" if gate else "published without measuring")
        collect(at.artifacts, config.keep, canaries(at))
    return version, evaluation


def metrics(e: Evaluation) -> Mapping[str, Any]:
    """The figures a version is judged by, as they stand in its manifest."""
    return {
        "ndcg_10": {line.what: round(line.ndcg_10.mean, 6) for line in e.lines},
        "auc": {head: round(auc.mean, 6) for head, auc in e.auc.items()},
        "error": {
            "ndcg_10": {line.what: _half_width(line.ndcg_10) for line in e.lines},
            "auc": {head: _half_width(auc) for head, auc in e.auc.items()},
        },
    }


def _half_width(x: Interval) -> float:
    return round((x.high - x.low) / 2, 6)


def trainer() -> Any:
    """The offline pass.

    Raises:
        ConfigError: torch is not installed.
    """
    try:
        from feedmill.train import fit
    except ModuleNotFoundError as e:
        raise ConfigError(f"training needs {e.name}", "the train extra", "pip install 'feedmill[train]'") from None
    return fit


def evaluate(folder: Dir = HERE, settings: Set = None, json: Json = None) -> None:
    """Measure the promoted version on what its training held out, through the serving path."""
    from feedmill.publish import load
    from feedmill.samples.splits import EvaluateConfig, split
    from feedmill.serve.evaluate import evaluate as measured
    from feedmill.state import Replay

    writable(json)
    at = workspace(folder, settings)
    artifact = load(at.artifacts)
    replay = Replay.of_workspace(at, int(artifact.about["offset"]))
    held = split(replay.events, at.section("evaluate", EvaluateConfig))
    if held.hash != artifact.about["split_hash"]:
        raise DataError(
            f"split {held.hash} ({held.name})",
            f"{artifact.about['split_hash']} ({artifact.about['split']}), what version {artifact.version} held out",
            "undo the change to [evaluate]; or train again, as after old events were dropped",
        )
    evaluation = measured(at, artifact.parts, artifact.about, replay, held)
    show.evaluation(evaluation)
    if json is not None:
        rows.write(show.evaluation_rows(evaluation), json)
