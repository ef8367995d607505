"""``feedmill tune fusion``: weights of the heads, fitted to what was logged."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table

from feedmill.cli import show
from feedmill.core.config import nearest
from feedmill.core.errors import ConfigError
from feedmill.core.progress import console
from feedmill.core.workspace import Workspace
from feedmill.metrics import rows
from feedmill.metrics.rows import BenchRow
from feedmill.rerank.fusion import FusionConfig
from feedmill.rerank.fusion_search import Found, SearchConfig, search
from feedmill.state import Replay

FUSION = "fusion"  # what to call it where a channel's name is asked for


def tune_fusion(at: Workspace, replay: Replay, target: str, trials: int, seed: int, json: Path | None) -> None:
    """Train a ranker on the older events, search weights on the newer ones, print the block to paste.

    Raises:
        ConfigError, DataError: see ``train.rank.fusion_rows``.
    """
    from feedmill.train.rank.fusion_rows import fusion_rows

    worth = parsed_target(target)
    fusion = at.section("rerank.fusion", FusionConfig)
    found_rows = fusion_rows(at, replay, worth, seed)
    console.print(f"{found_rows.told}; target: {' + '.join(f'{w:g} {h}' for h, w in found_rows.worth.items())}")
    found = search(found_rows.logged, SearchConfig(trials=trials, form=fusion.form, offset=fusion.offset), seed)
    _show(found)
    typer.echo(toml(found, fusion))
    if json is not None:
        rows.write(_rows(found, seed), json)


def parsed_target(text: str) -> dict[str, float]:
    """``like=5,watch_s=0.1`` -> worth by label; "" -> none.

    Raises:
        ConfigError: it is not of that form.
    """
    out = {}
    for pair in filter(None, text.split(",")):
        name, sign, value = pair.partition("=")
        try:
            out[name.strip()] = float(value) if sign else 1.0
        except ValueError:
            raise ConfigError(
                f"--target {pair}", "label=worth, such as like=5,watch_s=0.1", nearest(name, [])
            ) from None
    return out


def toml(found: Found, fusion: FusionConfig) -> str:
    """The block to paste, or why there is none."""
    if not found.is_better:
        return "# no weights were surely better than equal ones: leave [rerank.fusion.weights] out"
    lines = [f"{head} = {weight:g}" for head, weight in found.weights.items() if weight]
    return "\n".join([f'[rerank.fusion]\nform = "{fusion.form}"', "[rerank.fusion.weights]", *lines])


def _show(found: Found) -> None:
    table = Table("", "NDCG", "95 %", box=None, header_style="bold", padding=(0, 1))
    for name, x in (("equal weights", found.equal), ("fitted", found.found), ("fitted - equal", found.gain)):
        table.add_row(name, f"{x.mean:.4f}", f"{x.low:.4f} .. {x.high:.4f}")
    show.out.print(table)
    weights = ", ".join(f"{head} {w:g}" for head, w in found.tried.items())
    show.out.print(f"fitted: {weights}; judged by {found.gain.n:,} users that did not choose them")


def _rows(found: Found, seed: int) -> list[BenchRow]:
    named = {"equal weights": found.equal, "fitted": found.found, "fitted - equal": found.gain}
    measured = [
        BenchRow(what=f"fusion: {what}", metric="NDCG", value=x.mean, low=x.low, high=x.high,
                 unit=f"mean of {x.n} users, 95 %", seed=seed)
        for what, x in named.items()
    ]  # fmt: skip
    return measured + [
        BenchRow(what=f"fusion: {h}", metric="weight", value=w, seed=seed) for h, w in found.tried.items()
    ]
