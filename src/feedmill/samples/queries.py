"""(query, item) pairs: what people clicked after they searched, and every item under words of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray

from feedmill.core.batches import LANES, Rows
from feedmill.core.clock import rng
from feedmill.core.config import Config
from feedmill.core.events import EventBatch, Kind
from feedmill.state import State

# A word, or one character of a script that is written without spaces between words.
_PIECE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


class QueriesConfig(Config, frozen=True):
    """What counts as a search that found something; these keys stand beside the encoder's in ``[train.NAME]``."""

    window_s: Annotated[float, Meta(gt=0, description="seconds after a search in which a click is due to it")] = 600.0
    own_words: Annotated[
        int, Meta(ge=0, description="pairs per item with a run of its own text as the query, whether searched or not")
    ] = 4


@dataclass(frozen=True, slots=True, eq=False)
class QueryPairs:
    """P pairs in the order of the log, those of own words last.

    Attributes:
        texts: distinct queries, in small letters and without spaces that mean nothing.
        query: int64[P] indices of ``texts``.
        item: int32[P] item rows.
        n_searched: how many pairs come from searches.
    """

    texts: list[str]
    query: NDArray[np.int64]
    item: Rows
    n_searched: int

    def __len__(self) -> int:
        return len(self.query)


def query_pairs(
    events: EventBatch, state: State, item_texts: Sequence[str], config: QueriesConfig, seed: int
) -> QueryPairs:
    """Searches and what they led to, and items under their own words.

    A click belongs to the search that has its request id; one without a request id belongs to the user's last search,
    if that was at most ``window_s`` before. A click on what a feed had shown belongs to none. An item counts once per
    search.

    Args:
        events: the training log, in order; ids must have rows in ``state``.
        item_texts: by item row, "" where there is none.
    """
    searched, found = _searched(events, state, config.window_s)
    described, own = run_of_own_words(item_texts, config.own_words, seed)
    number: dict[str, int] = {}
    query = np.array([number.setdefault(text, len(number)) for text in searched + described], np.int64)
    return QueryPairs(list(number), query, np.concatenate([found, own]), len(searched))


def plain(text: str) -> str:
    """How a query is told from another one."""
    return " ".join(text.split()).casefold()


def _searched(events: EventBatch, state: State, window_s: float) -> tuple[list[str], Rows]:
    kind = events.numpy("kind")
    frame = pl.DataFrame(
        {
            "at": np.arange(len(events)),
            "kind": kind,
            "user": state.users.rows(events.table.column("user_id")),
            "item": state.items.rows(events.table.column("item_id")),
            "time_ms": events.numpy("time_ms"),
            "request": pl.Series(values=events.table.column("request_id").to_pylist(), dtype=pl.String),
            "text": pl.Series(values=events.table.column("payload").to_pylist(), dtype=pl.String),
        }
    )
    at_search = (kind == Kind.SEARCH) & (frame["user"] > 0).to_numpy()
    searches = frame.filter(pl.Series(at_search)).select("at", "user", "text", "request", "time_ms")
    searches = searches.with_columns(search="at").rename({"time_ms": "search_ms"})
    is_click = pl.Series(np.isin(kind, LANES["clicked"]))
    clicks = frame.drop("text").filter(is_click, pl.col("item") > 0, pl.col("user") > 0)
    last = searches.drop("at").unique(["user", "request"], keep="last", maintain_order=True)
    asked = clicks.filter(pl.col("request") != "").join(last, on=["user", "request"])
    after = clicks.filter(pl.col("request") == "").join_asof(
        searches.drop("request"), on="at", by="user", check_sortedness=False
    )
    after = after.filter(pl.col("time_ms") - pl.col("search_ms") <= window_s * 1e3)
    both = pl.concat([part.select("at", "search", "item", "text") for part in (asked, after)])
    both = both.sort("at").unique(["search", "item"], keep="first", maintain_order=True)
    texts = [plain(text) for text in both["text"].to_list()]
    kept = np.array([bool(text) for text in texts], np.bool_)
    return [text for text in texts if text], both["item"].to_numpy().astype(np.int32)[kept]


def run_of_own_words(item_texts: Sequence[str], n: int, seed: int) -> tuple[list[str], Rows]:
    """The whole text first, then runs of a random length at random places."""
    random, texts, items = rng(seed, "own words"), list[str](), list[int]()
    for row, text in enumerate(item_texts):
        pieces = [m.span() for m in _PIECE.finditer(text)] if row and n else []
        for i in range(n if pieces else 0):
            length = len(pieces) if i == 0 else int(random.integers(1, len(pieces) + 1))
            first = int(random.integers(0, len(pieces) - length + 1))
            texts.append(plain(text[pieces[first][0] : pieces[first + length - 1][1]]))
            items.append(row)
    return texts, np.array(items, np.int32)
