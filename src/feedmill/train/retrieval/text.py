"""Fit a text model on (query, item) pairs and export its query side; item vectors are computed once, here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from feedmill.core.batches import Floats, Interactions, Mask, Part
from feedmill.core.clock import rng
from feedmill.core.config import convert
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.core.workspace import component
from feedmill.features.side import SideFields, side_fields
from feedmill.features.text import TextConfig, Tokens, covered, fit_slots, item_texts, tokenise
from feedmill.models.embeddings import FusedEmbedding
from feedmill.models.text import ENCODERS
from feedmill.models.text.dssm import DSSM, dssm_loss
from feedmill.samples.queries import QueriesConfig, query_pairs
from feedmill.state import State
from feedmill.train.config import Fitting
from feedmill.train.export import traced
from feedmill.train.loop import run
from feedmill.train.retrieval.columns import Likes
from feedmill.train.retrieval.padded import Padded

CHUNK = 4096  # texts encoded at once outside of training
_STRUCTS: tuple[type[Any], ...] = (Fitting, TextConfig, QueriesConfig)


@dataclass(frozen=True, slots=True)
class TextPlan:
    """How the model of one channel of kind "text" is made: the block ``[train.NAME]``."""

    name: str
    kind: str
    cls: Any
    config: Any
    fitting: Fitting
    text: TextConfig
    queries: QueriesConfig

    @staticmethod
    def of(name: str, block: Mapping[str, Any]) -> TextPlan:
        """``kind`` is that of an encoder, "bag" unless it says otherwise.

        Raises:
            ConfigError: a key that nobody reads, or a value out of range.
        """
        at = f"train.{name}"
        own = [key for kind in _STRUCTS for key in kind.__struct_fields__]
        chosen = component({"kind": "bag", **block}, ENCODERS, at, name, own)
        parts = [
            convert({k: v for k, v in chosen.own.items() if k in kind.__struct_fields__}, kind, at) for kind in _STRUCTS
        ]
        return TextPlan(name, chosen.kind, chosen.cls, chosen.config, *parts)

    def explained(self) -> list[tuple[str, msgspec.Struct]]:
        """(dotted path, struct) of everything the block may set."""
        return [(f"train.{self.name}", part) for part in (self.config, self.fitting, self.text, self.queries)]


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """What a text model learns from.

    Attributes:
        queries, items: texts of queries, and of items by row; "" is never drawn as a negative.
        query, item: int64[P] the pairs, as indices of these.
        group: int64[P]; items of pairs of the same group are no negatives of each other's queries. None = no groups.
        unlike: int64[2, K], (query, item) pairs that are known not to belong together; half a batch of them is shown
            with every batch, as negatives of all its rows.
        fields: other features of the items.
    """

    queries: Sequence[str]
    items: Sequence[str]
    query: NDArray[np.int64]
    item: NDArray[np.int64]
    group: NDArray[np.int64] | None = None
    unlike: NDArray[np.int64] | None = None
    fields: SideFields | None = None


def fit_text(plan: TextPlan, events: EventBatch, state: State, seed: int) -> Part:
    """Searches of the training log, and items under their own words -> a part for ``TextChannel``.

    Args:
        events: the training log.
        state: which has folded it.

    Raises:
        DataError: no item has a title, and nothing was searched.
    """
    items = item_texts(state, plan.text)
    pairs = query_pairs(events, state, items, plan.queries, seed)
    if not len(pairs):
        raise DataError(
            "no item has a title, and no search was followed by a click", "titles or searches",
            "ingest items with titles, or take the channel of kind text out of the config",
        )  # fmt: skip
    fields = side_fields(state) if plan.config.side else None
    fit = TextFit(plan, Texts(pairs.texts, items, pairs.query, pairs.item.astype(np.int64), fields=fields), seed)
    fit.train()
    return fit.part({"n_pairs": len(pairs), "n_searched": pairs.n_searched})


class TextFit:
    """One text model being fitted.

    Args:
        plan: which encoder, and how.
        texts: at least one pair.
    """

    def __init__(self, plan: TextPlan, texts: Texts, seed: int) -> None:
        torch.manual_seed(seed)
        self.plan, self.texts, self._seed = plan, texts, seed
        self.losses: list[float] = []
        tokens = [tokenise(t, plan.text, plan.cls.ngrams) for t in (texts.queries, texts.items)]
        self._slots = fit_slots(plan.text, *tokens)
        self._n_slots = int(self._slots.max())
        self._queries, self._items = (t.slotted(self._slots) for t in tokens)
        fields = texts.fields
        n_rows = 1 + self._n_slots + (fields.n if fields else 0)
        self.embedding = FusedEmbedding(n_rows, plan.config.embedding_dim, plan.config.dropout)
        self.model = DSSM(plan.cls, plan.config, len(fields.starts) - 1 if fields else 0)
        self._known = _known(texts)
        self._random = rng(seed, plan.name, "negatives")
        self._pool = np.flatnonzero([bool(t) for t in texts.items])

    def train(self, score: Callable[[], float] | None = None) -> None:
        """Minimise -log P(d+ | q).

        Args:
            score: how good the model is on what it does not learn from, asked after each epoch. When it is no longer
                better than before training ends, and the best epoch is kept.
        """
        best, kept = -np.inf, list[dict[str, Tensor]]()
        parts: tuple[nn.Module, ...] = (self.model, self.embedding)

        def is_enough() -> bool:
            nonlocal best, kept
            for part in parts:
                part.eval()
            value = score() if score else 0.0
            for part in parts:
                part.train()
            if value > best:
                best, kept = value, [{k: v.clone() for k, v in part.state_dict().items()} for part in parts]
                return False
            return True

        n, what = len(self.texts.query), f"training {self.plan.name}"
        enough = is_enough if score else None
        self.losses = run(what, self.model, [self.embedding], n, self.loss, self.plan.fitting, self._seed, enough)
        for part, state in zip(parts, kept, strict=False):
            part.load_state_dict(state)

    def loss(self, at: NDArray[np.int64]) -> Tensor:
        """The mean of -log P over some pairs: against every item of the batch, random items, and known misfits."""
        texts, config = self.texts, self.plan.config
        query, item = texts.query[at], texts.item[at]
        unlike = np.zeros((2, 0), np.int64)
        if texts.unlike is not None:
            unlike = texts.unlike[:, self._random.integers(texts.unlike.shape[1], size=-(-len(at) // 2))]
        drawn = self._random.choice(self._pool, config.n_negatives) if len(self._pool) else self._pool
        columns, place = np.unique(np.concatenate([item, unlike[1], drawn]), return_inverse=True)
        asked, row = np.unique(np.concatenate([query, unlike[0]]), return_inverse=True)
        queries, items = self._vectors(self._queries, asked, columns)
        queries = queries[torch.from_numpy(row)]
        scores = queries[: len(at)] @ items.t()
        own = scores[torch.arange(len(at)), torch.from_numpy(place[: len(at)])]
        masked = self._masked(at, query, columns, place[: len(at)])
        misfits = (queries[len(at) :] * items[torch.from_numpy(place[len(at) :][: unlike.shape[1]])]).sum(1)
        masked = np.hstack([masked, np.zeros((len(at), len(misfits)), np.bool_)])
        others = torch.cat([scores, misfits.expand(len(at), -1)], dim=1)
        return dssm_loss(own, others, config.gamma, torch.from_numpy(masked))

    def query_vectors(self, texts: Sequence[str]) -> Floats:
        """float32[m, W] of any texts as queries; the vector of one of which nothing is known means nothing."""
        tokens = tokenise(texts, self.plan.text, self.plan.cls.ngrams).slotted(self._slots)
        return self._chunked(lambda some: self._vectors(tokens, some, some[:0])[0], np.arange(len(texts)))

    def item_vectors(self, rows: NDArray[np.int64]) -> Floats:
        """float32[m, W] of some items; zero for one of whose text nothing is known."""
        vectors = self._chunked(lambda some: self._vectors(self._queries, some[:0], some)[1], rows)
        first, last = (self._items.position_start[self._items.text_start[rows + i]] for i in (0, 1))
        known = np.concatenate([[0], np.cumsum(self._items.ids > 0)])
        vectors[known[first] == known[last]] = 0
        return vectors

    def part(self, about: Mapping[str, Any]) -> Part:
        """What ``TextChannel`` serves; ``about`` is kept with it."""
        encoder = self.model.query_encoder
        config = {
            **about, "model": self.plan.kind, "text": msgspec.to_builtins(self.plan.text), "loss": self.losses,
            "ngrams": self.plan.cls.ngrams, "is_bag": encoder.is_bag, "least": encoder.least,
        }  # fmt: skip
        arrays = {
            "embedding": self.embedding.table.weight.detach().numpy()[: self._n_slots + 1],
            "buckets": np.flatnonzero(self._slots).astype(np.int32),
            "item_vectors": self.item_vectors(np.arange(len(self.texts.items))),
        }
        return Part("text", config, arrays, {"dense.onnx": to_graph(encoder, self.plan.config.embedding_dim)})

    def _vectors(self, tokens: Tokens, queries: NDArray[np.int64], items: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Unit vectors of some of the queries ``tokens`` and of some items, their embeddings looked up together."""
        asked = Padded.of(tokens, queries, self.model.query_encoder)
        found = Padded.of(self._items, items, self.model.item_encoder)
        bags = asked.bags + found.bags
        fields = self.texts.fields
        if fields is not None:
            ids = fields.ids[items[found.order]]
            bags.append((torch.from_numpy(np.where(ids > 0, ids + self._n_slots, 0)), fields.starts))
        rows = self.embedding(*bags)
        side = rows.pop().split([len(x) for x in found.lengths]) if fields is not None else [None] * len(found.lengths)
        q = [self.model.query(x, n) for x, n in asked.shaped(rows)]
        d = [self.model.item(x, n, s) for (x, n), s in zip(found.shaped(rows[len(asked.bags) :]), side, strict=True)]
        return asked.restored(q), found.restored(d)

    def _masked(
        self, at: NDArray[np.int64], query: NDArray[np.int64], columns: NDArray[np.int64], place: NDArray[np.int64]
    ) -> Mask:
        """bool[B, M]: items that are no negatives: the row's own, those known to belong to the query, and those that
        have every word of it."""
        masked = self._known.cells(query.astype(np.int32), columns.astype(np.int32))
        masked |= covered(self._queries, query, self._items, columns)
        if self.texts.group is not None:
            group = self.texts.group[at]
            i, j = np.nonzero(group[:, None] == group[None, :])
            masked[i, place[j]] = True
        return masked

    @torch.no_grad()
    def _chunked(self, encode: Callable[[NDArray[np.int64]], Tensor], rows: NDArray[np.int64]) -> Floats:
        parts = [encode(rows[i : i + CHUNK]).numpy() for i in range(0, len(rows), CHUNK)]
        return np.concatenate([np.zeros((0, self.plan.config.output_dim), np.float32), *parts])


def _known(texts: Texts) -> Likes:
    """Queries in place of users: what is known to belong together is no negative."""
    order = np.argsort(texts.query, kind="stable")
    query, item = texts.query[order].astype(np.int32), texts.item[order].astype(np.int32)
    like, time_ms = np.ones(len(order), np.float32), np.zeros(len(order), np.int64)
    return Likes(Interactions(query, item, like, time_ms, len(texts.queries), len(texts.items)))


def to_graph(encoder: nn.Module, embedding_dim: int) -> bytes:
    """An encoder as ONNX; texts and, unless it reads bags, positions are free axes."""
    least: Any = encoder.least
    free = {} if encoder.is_bag else {1: torch.export.Dim("T", min=least)}
    axes = {"x": {0: torch.export.Dim("R", min=1), **free}, "length": {0: torch.export.Dim("R", min=1)}}
    n_positions = 1 if encoder.is_bag else max(least, 2) + 3
    example = (torch.zeros(2, n_positions, embedding_dim), torch.full((2,), n_positions))
    return traced(encoder, example, ["x", "length"], axes)
