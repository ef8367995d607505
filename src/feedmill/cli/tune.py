"""``feedmill tune``: a random search over one channel's parameters, on the training log alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from feedmill.cli import show
from feedmill.cli.options import HERE, Dir, Json, Set, workspace, writable
from feedmill.cli.tune_fusion import FUSION, tune_fusion
from feedmill.cli.tune_space import Space, parsed
from feedmill.cli.tune_trial import Changes, Judge, Trial
from feedmill.core.clock import rng
from feedmill.core.progress import console, progress
from feedmill.metrics import rows
from feedmill.metrics.intervals import paired_difference
from feedmill.metrics.rows import BenchRow

FEW_USERS = 400  # below: every setting is tried on everybody at once
FIRST_SHARE, KEPT_SHARE = 0.25, 1 / 3  # of the users in the first round; of the settings that reach the second


def tune(
    channel: Annotated[
        str, typer.Argument(help="A channel of the config, or a kind such as itemcf; or fusion, the weights of heads.")
    ],
    folder: Dir = HERE,
    trials: Annotated[int, typer.Option("--trials", "-n", min=1, help="Settings to try.")] = 30,
    seed: Annotated[int, typer.Option("--seed", help="The same seed tries the same settings.")] = 0,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", help="Search this instead: top_k=50..200, or norm=count,weighted; may be repeated."),
    ] = None,
    target: Annotated[
        str, typer.Option("--target", help="fusion: what rows are worth, such as like=5,watch_s=0.1.")
    ] = "",
    settings: Set = None,
    json: Json = None,
) -> None:
    """Search one channel's parameters on a validation part of the training log; print the best block as TOML."""
    from feedmill.state import Replay

    writable(json)
    at = workspace(folder, settings)
    replay = Replay.of_workspace(at)
    if channel == FUSION and channel not in at.raw.get("retrieval", {}).get("channels", {}):
        tune_fusion(at, replay, target, trials, seed, json)
        return
    judge = Judge(at, channel, replay, seed)
    found = dict(judge.space())
    given = dict(parsed(text, found) for text in ranges or ())
    searched = given or found
    console.print(f"{judge.held.name} of the training side, split {judge.held.hash}, {judge.n_users:,} users")
    for name, values in searched.items():
        console.print(f"  {name}: {values}", markup=False)
    done: list[Trial] = []
    stopped = False
    try:
        for trial in search(judge, settings_of(searched, trials, seed)):
            done.append(trial)
    except KeyboardInterrupt:
        stopped = True
    _show(judge, done, seed)
    if json is not None and done:
        rows.write(_rows(judge, done), json)
    if stopped:
        console.print("stopped: the above is what was tried until then")
        raise typer.Exit(130)


def settings_of(space: Space, n: int, seed: int) -> list[Changes]:
    """What is configured, and n random settings, all different unless the space is too small."""
    random, known = rng(seed, "tune"), set()
    out: list[Changes] = [{}]
    for _ in range(20 * n):
        changes = {name: values.draw(random) for name, values in space.items()}
        key = repr(changes)
        if key not in known and len(out) <= n:
            known.add(key)
            out.append(changes)
    return out


def search(judge: Judge, settings: Sequence[Changes]) -> Iterator[Trial]:
    """Every setting on a share of the users, the best third of them and what is configured on all (Jamieson and
    Talwalkar 2016, with two rounds); with few users or settings, all on all."""
    is_short = judge.n_users <= FEW_USERS or len(settings) < 6
    first = judge.n_users if is_short else max(FEW_USERS // 2, int(judge.n_users * FIRST_SHARE))
    tried = []
    with progress(f"trying {len(settings)} settings", len(settings)) as advance:
        for changes in settings:
            trial = judge.try_(changes, first)
            tried.append(trial)
            advance(1)
            yield trial
    if is_short:
        return
    ranked = sorted(tried, key=lambda t: -t.score)
    best = [t for t in ranked if t.changes][: max(2, round(len(settings) * KEPT_SHARE))]
    with progress("the best on all users", len(best) + 1) as advance:
        for trial in (tried[0], *best):
            yield judge.try_(trial.changes, judge.n_users)
            advance(1)


def final(done: Sequence[Trial]) -> list[Trial]:
    """The trials to compare, best first: those asked the most users."""
    most = max((t.n_users for t in done), default=0)
    return sorted((t for t in done if t.n_users == most), key=lambda t: -t.score)


def _show(judge: Judge, done: Sequence[Trial], seed: int) -> None:
    ranked = final(done)
    if not ranked:
        console.print("nothing was tried")
        return
    table = Table("NDCG@10", "", "Recall@50", "seconds", "setting", box=None, header_style="bold", padding=(0, 1))
    for trial in ranked:
        ndcg, recall = trial.line.ndcg_10, trial.line.recall_50
        bounds = f"{ndcg.low:.3f} .. {ndcg.high:.3f}"
        table.add_row(f"{ndcg.mean:.4f}", bounds, f"{recall.mean:.4f}", f"{trial.seconds:.1f}", _words(trial))
    show.out.print(table)
    best, configured = ranked[0], next((t for t in ranked if not t.changes), None)
    if configured is not None and best is not configured:
        gain = paired_difference(best.per_user, configured.per_user, seed)
        show.out.print(
            f"best - as configured: {gain.mean:+.4f} ({gain.low:+.4f} .. {gain.high:+.4f}); "
            f"the best of {len(done)} looks better than it is: `feedmill train` has the test"
        )
    typer.echo(toml(judge, best))


def toml(judge: Judge, trial: Trial) -> str:
    """The block to paste in place of the one there is."""
    if not trial.changes:
        return f"# nothing tried was better than [{judge.block}] as it is"
    values = {**judge.configured, **trial.changes}
    return "\n".join([f"[{judge.block}]", *(f"{name} = {_literal(value)}" for name, value in values.items())])


def _literal(value: Any) -> str:
    """TOML of a value of a config; its strings, numbers, booleans and lists are written as JSON writes them."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_literal(v)}" for k, v in value.items()) + " }" if value else "{}"
    return msgspec.json.encode(value).decode()


def _words(trial: Trial) -> str:
    return ", ".join(f"{k} = {v}" for k, v in trial.changes.items()) or "as configured"


def _rows(judge: Judge, done: Sequence[Trial]) -> list[BenchRow]:
    def row(trial: Trial, metric: str, x: Any) -> BenchRow:
        return BenchRow(
            what=f"{judge.name}: {_words(trial)}",
            metric=metric,
            value=x.mean,
            low=x.low,
            high=x.high,
            unit=f"mean of {x.n} users, 95 %",
            seed=judge.seed,
            split=judge.held.hash,
        )

    return [
        row(trial, metric, x)
        for trial in (*final(done), *(t for t in done if t not in final(done)))
        for metric, x in (("NDCG@10", trial.line.ndcg_10), ("Recall@50", trial.line.recall_50))
    ]
