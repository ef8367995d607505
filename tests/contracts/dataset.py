"""What every dataset must do. ``make()`` opens it anew; ``NOW_MS`` is later than all of its events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson

from feedmill.core.events import N_COUNTED, SCHEMA, EventBatch, Kind
from feedmill.core.protocols import Dataset
from feedmill.datasets.check import check_batch
from feedmill.datasets.ingest import ingest
from feedmill.log.memory import MemoryLog

NOW_MS = 1_800_000_000_000
Make = Callable[[], Dataset]


def check_it_says_what_it_is(make: Make, folder: Path) -> None:
    dataset = make()
    assert dataset.name
    assert isinstance(dataset.licence, str)


def check_events_come_in_order_of_time(make: Make, folder: Path) -> None:
    batches = list(make().events())
    assert batches
    assert all(0 < len(batch) <= 65_536 for batch in batches)
    times = EventBatch.concat(batches).numpy("time_ms")
    assert (np.diff(times) >= 0).all()


def check_every_event_is_valid(make: Make, folder: Path) -> None:
    dataset = make()
    for batch in (dataset.users(), dataset.items(), *dataset.events()):
        assert batch.table.schema == SCHEMA
        batch.table.validate(full=True)
        assert check_batch(batch, NOW_MS).reasons == {}


def check_what_describes_comes_first(make: Make, folder: Path) -> None:
    dataset = make()
    first_ms = next(iter(dataset.events())).numpy("time_ms")[0]
    for batch, kind, of in ((dataset.users(), Kind.USER, "user_id"), (dataset.items(), Kind.ITEM, "item_id")):
        assert (batch.numpy("kind") == kind).all()
        assert (batch.numpy("time_ms") <= first_ms).all()
        ids = batch.numpy(of).tolist()
        assert all(ids)
        assert len(set(ids)) == len(ids)
        for payload in batch.numpy("payload"):
            attributes = orjson.loads(payload)
            assert all(isinstance(t, str) and t for t in attributes.get("topics", []))
            assert None not in attributes.values()


def check_reading_again_gives_the_same(make: Make, folder: Path) -> None:
    one, two = make(), make()
    assert one.items().table.equals(two.items().table)
    assert one.users().table.equals(two.users().table)
    passes = [list(d.events()) for d in (one, one, two)]
    for again in passes[1:]:
        assert [b.source for b in again] == [b.source for b in passes[0]]
        assert [b.source_row for b in again] == [b.source_row for b in passes[0]]
        assert EventBatch.concat(again).table.equals(EventBatch.concat(passes[0]).table)


def check_its_source_numbers_its_rows(make: Make, folder: Path) -> None:
    dataset, row = make(), 0
    for batch in dataset.events():
        assert batch.source
        assert batch.source_row == row
        row += len(batch)
    sources = {next(iter(dataset.events())).source, dataset.items().source, dataset.users().source}
    assert len(sources) == 1 + bool(dataset.items().source) + bool(dataset.users().source)


def check_ingesting_twice_doubles_nothing(make: Make, folder: Path) -> None:
    log = MemoryLog()
    first = ingest(make(), log, folder / "rejects", NOW_MS)
    again = ingest(make(), log, folder / "rejects", NOW_MS)
    assert first.n_events == log.end > 0
    assert first.n_duplicate == again.n_events == 0
    assert again.n_duplicate == first.n_events
    assert (again.n_rejected, again.reasons) == (first.n_rejected, first.reasons)


def described_every_item_is_known(make: Make, folder: Path) -> None:
    """For datasets that promise it."""
    dataset = make()
    known = set(dataset.items().numpy("item_id"))
    for batch in dataset.events():
        counted = batch.numpy("item_id")[batch.numpy("kind") < N_COUNTED]
        assert set(counted) <= known
