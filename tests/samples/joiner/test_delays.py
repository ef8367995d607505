"""Delays of feedback by hand and by brute force."""

from __future__ import annotations

from hypothesis import given

from feedmill.core.events import EventBatch, Kind
from feedmill.samples.joiner.delays import delays
from samples.joiner.plain import event, logs


def test_by_hand() -> None:
    rows = [
        event(Kind.IMPRESSION, 0, "r", "x"),
        event(Kind.CLICK, 3, "r", "x"),
        event(Kind.CLICK, 90, "r", "x"),
        event(Kind.IMPRESSION, 0, "s", "x"),
        event(Kind.CLICK, 20, "s", "x"),
        event(Kind.CLICK, 20, "nowhere", "x"),
        event(Kind.CLICK, 20, "", "x"),
        event(Kind.WATCH, 5, "r", "x", value=2.0),
        event(Kind.WATCH, 9, "r", "x", value=8.0),
        event(Kind.WATCH, 11, "r", "x", value=8.0),
    ]
    click, watch = delays(EventBatch.rows(rows), (1, 3, 10, 100))
    assert (click.kind, click.n, click.n_repeated, click.n_orphan, click.n_organic) == ("click", 2, 1, 1, 1)
    assert click.within == (0, 0.5, 0.5, 1)
    assert click.quantiles_s == (20.0, 20.0, 20.0, 20.0)
    assert (watch.n, watch.n_repeated, watch.within) == (1, 2, (0, 0, 1, 1))


def test_nothing() -> None:
    assert delays(EventBatch.empty()) == []
    (only,) = delays(EventBatch.rows([event(Kind.CLICK, 0, "", "x")]))
    assert (only.n, only.n_organic, only.quantiles_s) == (0, 1, ())


@given(logs())
def test_every_report_is_one_of_four(events: EventBatch) -> None:
    rows = events.table.to_pylist()
    shown = {(r["request_id"], r["item_id"]) for r in rows if r["kind"] == 0 and r["request_id"]}
    for d in delays(events):
        kind = Kind[d.kind.upper()]
        mine = [(r["request_id"], r["item_id"]) for r in rows if r["kind"] == kind]
        assert d.n == len(shown & set(mine))
        assert d.n + d.n_repeated + d.n_orphan + d.n_organic == len(mine)
        assert d.n_orphan == sum(1 for key in mine if key[0] and key not in shown)
        assert list(d.within) == sorted(d.within)
