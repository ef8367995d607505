"""How results look in a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from feedmill.core.request import FeedResponse, Trace
from feedmill.metrics.intervals import Interval
from feedmill.metrics.rows import BenchRow
from feedmill.serve.evaluate import Evaluation, Line

out = Console(highlight=False, width=None if sys.stdout.isatty() else 110)  # a file has no width


def evaluation(e: Evaluation) -> None:
    """The table of channels and stages, warm users first, with what it rests on."""
    title = f"{e.split}, {e.n_users:,} users, split {e.split_hash}, seed {e.seed}; every unseen item is a candidate"
    out.print(_lines(f"{title}; warm users" if e.cold else title, e.lines))
    if e.cold:
        out.print(_lines("users with little history", e.cold))
    for head, auc in e.auc.items():
        out.print(f"AUC of head {head}: {_mean(auc)}, held-out positive against unseen items, {auc.n} users")
    for what, gain in e.gains.items():
        verdict = "better" if gain.low > 0 else "worse" if gain.high < 0 else "not told apart"
        out.print(f"NDCG@10 {what}: {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}] {verdict}")


def _lines(title: str, lines: list[Line]) -> Table:
    table = Table(title=title, title_justify="left", title_style="", box=None, header_style="bold", padding=(0, 1))
    for column in ("", "NDCG@10", "Recall@10", "Recall@50", "cover@10", "popularity"):
        table.add_column(column, no_wrap=True)
    for line in lines:
        figures = (_short(line.ndcg_10), _short(line.recall_10), _short(line.recall_50))
        table.add_row(line.what, *figures, f"{line.coverage:.3f}", f"{line.popularity:+.3f}")
    return table


def _short(x: Interval) -> str:
    return escape(f"{x.mean:.4f} [{x.low:.3f} {x.high:.3f}]")


def _mean(x: Interval) -> str:
    return escape(f"{x.mean:.4f} [{x.low:.4f}, {x.high:.4f}]")


def evaluation_rows(e: Evaluation) -> list[BenchRow]:
    """The same as rows for ``--json``."""
    rows = []
    named = [(line.what, m, getattr(line, a)) for line in e.lines for m, a in _METRICS]
    named += [(f"{line.what}, little history", m, getattr(line, a)) for line in e.cold for m, a in _METRICS]
    named += [(f"head {h}", "AUC", v) for h, v in e.auc.items()]
    named += [(what, "NDCG@10 difference", v) for what, v in e.gains.items()]
    for what, metric, v in named:
        row = BenchRow(
            what=what,
            metric=metric,
            value=v.mean,
            low=v.low,
            high=v.high,
            unit=f"mean of {v.n} users, 95 %",
            seed=e.seed,
            split=e.split_hash,
        )
        rows.append(row)
    return rows


_METRICS = (("Recall@10", "recall_10"), ("Recall@50", "recall_50"), ("NDCG@10", "ndcg_10"))


def feed(answer: FeedResponse, history: list[str] | None = None) -> None:
    """A feed with its reasons."""
    note = f"  [yellow]degraded: {', '.join(answer.degraded)}[/]" if answer.degraded else ""
    out.print(f"\n[bold]feed of user {escape(answer.user_id)}[/]  request {answer.request_id}{note}")
    if history:
        out.print(f"[dim]recently: {escape(', '.join(history))}[/]")
    for item in answer.items:
        title = escape(item.title or item.item_id)
        found = " · ".join(f"{name} {score:.3g}" for name, score in item.channels.items())
        scores = " · ".join(f"{name} {score:.3f}" for name, score in item.scores.items())
        out.print(f"{item.position + 1:>3}  [bold]{title}[/]  {item.value:.3f}")
        out.print(Padding(f"[dim]brought by {escape(found)}; scores {escape(scores)}[/]", (0, 0, 0, 5)))
        out.print(Padding(escape(item.why), (0, 0, 0, 5)))


def trace(t: Trace) -> None:
    """One request as a funnel."""
    model = t.version or "none"
    out.print(f"[bold]request {t.request_id}[/] of user {escape(t.user_id)}: {t.ms:.2f} ms, model {model}")
    out.print(f"[dim]state at event {t.offset:,}[/]")
    table = Table("stage", "ms", "in", "out", "dropped", box=None, header_style="bold")
    for s in t.stages:
        dropped = ", ".join(f"{n} {why}" for why, n in s.dropped.items()) or s.error
        table.add_row(s.stage, f"{s.ms:.2f}", str(s.n_in), str(s.n_out), escape(dropped))
    out.print(table)
    if t.degraded:
        out.print(f"[yellow]degraded: {escape(', '.join(t.degraded))}[/]")
    for item in t.items:
        out.print(f"{item.position + 1:>3}  {escape(item.title or item.item_id)}: {escape(item.why)}")
