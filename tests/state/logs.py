"""Random logs: small ones from Hypothesis, larger ones from a seed."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from feedmill.core.batches import ProbeBatch
from feedmill.core.clock import rng
from feedmill.core.events import EventBatch, Kind
from feedmill.state import Probed, State

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
START_MS = 1_700_000_000_000

_item = st.sampled_from(["", "a", "b", "c", "ü", "日本"])
_user = st.sampled_from(["", "1", "2", "\x00"])
_text = st.sampled_from(["x", "y", "z"])
_about = st.fixed_dictionaries(
    {},
    optional={
        "author_id": _text,
        "topics": st.lists(_text, max_size=3),
        "duration_s": st.floats(0, 100, width=32),
        "publish_ms": st.integers(START_MS - DAY_MS, START_MS + DAY_MS),
        "deleted": st.booleans(),
        "language": _text,
        "n": st.integers(0, 3),
    },
)
# Steps of hours to years (epochs of the counters), now and then backwards: a late event.
_step = st.one_of(st.integers(-DAY_MS, DAY_MS), st.sampled_from([0, 0, 0, 400 * DAY_MS, -400 * DAY_MS]))
_behaviour = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([*range(11), 15, -3]),
        "user_id": _user,
        "item_id": _item,
        "value": st.floats(0, 60, width=32),
        "step": _step,
        "payload": st.sampled_from(["", " ", "red shoes", " red shoes\t", "鞋", "x" * 300, "x" * 255 + " y"]),
    }
)
_described = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([int(Kind.ITEM)] * 3 + [int(Kind.USER)]),
        "user_id": _user,
        "item_id": _item,
        "about": _about,
    }
)
events_lists = st.lists(st.one_of(_behaviour, _behaviour, _behaviour, _described), max_size=40)


def batch(drawn: list[dict[str, Any]]) -> EventBatch:
    """Events of a drawn list: steps become times, attributes payloads."""
    rows, now = [], START_MS
    for e in drawn:
        now += e.get("step", 0)
        row = {k: v for k, v in e.items() if k not in ("step", "about")}
        rows.append({**row, "time_ms": now, **({"payload": json.dumps(e["about"])} if "about" in e else {})})
    return EventBatch.rows(rows)


def random_log(n: int, n_users: int, n_items: int, seed: int = 0) -> EventBatch:
    """Behaviour of all kinds over two years, one event in fifty an ITEM or USER event."""
    g = rng(seed, "log")
    kind = g.choice([*range(11), 20, 21], n, p=[0.5, *[0.048] * 10, 0.015, 0.005])
    times = START_MS + np.sort(g.integers(0, 730 * DAY_MS, n)) - g.integers(0, 2, n) * g.integers(0, DAY_MS, n)
    user, item = g.integers(0, n_users, n), g.integers(0, n_items, n)
    payload = [
        json.dumps(
            {"author_id": f"a{i % 7}", "topics": [f"t{i % 11}", f"t{k}"], "publish_ms": START_MS, "lang": f"l{k}"}
        )
        if kind_ >= Kind.ITEM
        else f"query {k}"
        for i, k, kind_ in zip(item.tolist(), g.integers(0, 5, n).tolist(), kind.tolist(), strict=True)
    ]
    return EventBatch.of(
        {
            "time_ms": times,
            "kind": kind.astype(np.int8),
            "user_id": [f"u{u}" if u else "" for u in user.tolist()],
            "item_id": [f"i{i}" if i else "" for i in item.tolist()],
            "value": (g.random(n) * 60).astype(np.float32),
            "payload": payload,
        }
    )


def random_probes(state: State, at: list[int], time_ms: list[int], seed: int = 0, n_candidates: int = 4) -> ProbeBatch:
    """A probe at each place; users and items include rows that have not appeared yet, and no row at all."""
    g = rng(seed, "probes")
    n = len(at)
    return ProbeBatch(
        user=g.integers(-1, len(state.users) + 2, n).astype(np.int32),
        time_ms=np.array(time_ms, np.int64),
        at=np.array(at, np.int64),
        item=g.integers(-1, len(state.items) + 2, n * n_candidates).astype(np.int32),
        request_of=np.repeat(np.arange(n, dtype=np.int32), n_candidates),
    )


def in_pieces(state: State, events: EventBatch, probes: ProbeBatch, cuts: list[int]) -> Probed:
    """Fold [0, cuts[0]), [cuts[0], cuts[1]) … to the end; a probe goes with the piece that its place is in."""
    edges = [0, *sorted(min(c, len(events)) for c in cuts), len(events)]
    parts = []
    for i, (start, stop) in enumerate(pairwise(edges)):
        last = i == len(edges) - 2
        mine = (probes.at >= start) & ((probes.at < stop) | last)
        requests = np.flatnonzero(mine)
        kept = mine[probes.request_of]
        piece = ProbeBatch(
            user=probes.user[mine],
            time_ms=probes.time_ms[mine],
            at=probes.at[mine] - start,
            item=probes.item[kept],
            request_of=np.searchsorted(requests, probes.request_of[kept]).astype(np.int32),
        )
        probed = state.fold(events[start:stop], piece)
        assert probed is not None
        parts.append(probed)
    return Probed.concat(parts)
