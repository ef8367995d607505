"""Texts as ids: words as their letter trigrams, Chinese as characters, and short runs of both, all hashed.

Huang et al. (CIKM 2013) write #good# as #go, goo, ood, od#: thirty thousand trigrams hold any number of words, and a
mistyped word keeps most of its own. A Chinese character stands for itself. Texts may mix both, and any other script:
letters that are written in words become words, everything else one character at a time.

The hash is FNV-1a over code points: the same on every machine, in every process and in every version of Python.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Mask, Rows
from feedmill.core.config import Config
from feedmill.state import State

LETTERS = 3  # of a letter trigram
MOST_LETTERS = 32  # of a word that become trigrams; longer ones are still told apart by the id of the whole word
_SEPARATOR, _LETTER, _CHARACTER, _SILENT = 0, 1, 2, 3
_IDEOGRAPHIC = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "YI SYLLABLE")
_APOSTROPHES = "'’ʼ`"
_MARKS = (range(0x300, 0x370), range(0x591, 0x5C8), range(0x64B, 0x660))  # accents and points; other marks are vowels


class TextConfig(Config, frozen=True):
    """How texts are read; these keys stand beside the encoder's own in ``[train.NAME]``."""

    n_buckets: Annotated[int, Meta(ge=1, le=2**24, description="ids that hashes fall into")] = 2**20
    ngrams: Annotated[
        int, Meta(ge=0, le=4, description="runs of up to so many words or characters have an id; 0 = the encoder's own")
    ] = 0
    max_tokens: Annotated[int, Meta(ge=1, le=10_000, description="words and characters read of a text")] = 302
    min_count: Annotated[int, Meta(ge=1, description="ids seen less often in training share the zero vector")] = 2
    topics: Annotated[bool, Meta(description="the names of an item's topics are part of its text")] = True


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """n texts as positions, and each position (a word or a character) as a bag of ids, without padding.

    Attributes:
        ids: int32[n_ids] in 1..n_buckets, or 0 where nothing is known of it.
        position_start: int64[P + 1]: position p has the ids from position_start[p] to position_start[p + 1].
        text_start: int64[n + 1]: text i has the positions from text_start[i] to text_start[i + 1].
    """

    ids: Rows
    position_start: NDArray[np.int64]
    text_start: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.text_start) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64[n] positions of each text."""
        return np.diff(self.text_start)

    def slotted(self, slots: Rows) -> Tokens:
        """The same with each id's slot in place of the id."""
        return replace(self, ids=slots[self.ids])

    def sequences(self, texts: NDArray[np.int64], least: int = 1) -> Rows:
        """int32[m, T, B] of the given texts, padded with 0 to the longest of them and to ``least`` positions."""
        longest = int(self.lengths[texts].max(initial=least))
        out: Rows = _padded(self.ids, self.position_start, self.text_start, texts, max(longest, least))
        return out

    def bags(self, texts: NDArray[np.int64]) -> Rows:
        """int32[m, 1, W]: every id of a text in one bag."""
        whole = np.arange(len(self) + 1)
        out: Rows = _padded(self.ids, self.position_start[self.text_start], whole, texts, 1)
        return out


def covered(queries: Tokens, asked: NDArray[np.int64], items: Tokens, found: NDArray[np.int64]) -> Mask:
    """bool[B, M]: whether an item has every id of a query. Queries of which nothing is known are covered by none.

    Args:
        asked: int64[B] texts of ``queries``.
        found: int64[M] texts of ``items``, whose ids are slots of the same numbering.
    """
    n = 1 + max(int(t.ids.max(initial=0)) for t in (queries, items))
    (q, q_start), (d, d_start) = ((t.ids, t.position_start[t.text_start]) for t in (queries, items))
    out: Mask = _covered(q, q_start, asked, d, d_start, found, n)
    return out


def tokenise(texts: Sequence[str], config: TextConfig, ngrams: int = 0) -> Tokens:
    """Texts as ids; an empty one has no positions.

    A position has the ids of its letter trigrams (words only), of itself, and of the runs of up to ``ngrams`` words or
    characters that begin there.

    Args:
        ngrams: of an encoder; used where the config leaves it open.
    """
    joined = "\0".join(t.replace("\0", " ") if "\0" in t else t for t in texts)
    if not joined.isascii():
        joined = unicodedata.normalize("NFKC", joined)
    code = np.frombuffer(joined.casefold().encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds, folded = _alphabet()
    limits = (config.n_buckets, config.ngrams or ngrams or 1, config.max_tokens)
    return Tokens(*_tokens(code, kinds, folded, len(texts), *limits))


def item_texts(state: State, config: TextConfig) -> list[str]:
    """By item row what can be found by words, "" where nothing is known."""
    catalogue = state.catalogue
    titles = [catalogue.title(row) for row in range(len(state.items))]
    if not config.topics:
        return titles
    names = catalogue.topic_ids.ids()
    topics = catalogue.topics[: len(titles)].tolist()
    known = [" ".join(names[t] for t in row if t) for row in topics] + [""] * (len(titles) - len(topics))
    return [f"{title} {more}".strip() for title, more in zip(titles, known, strict=True)]


def fit_slots(config: TextConfig, *tokens: Tokens) -> Rows:
    """int32[n_buckets + 1]: a slot from 1 on for every id seen at least ``min_count`` times, 0 for the others."""
    seen = sum(np.bincount(t.ids, minlength=config.n_buckets + 1) for t in tokens)
    kept = np.asarray(seen >= config.min_count)
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)


@cache
def _alphabet() -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Of the first 65,536 code points: what kind each is, and its letter without accents."""
    kinds, folded = np.zeros(1 << 16, np.uint8), np.arange(1 << 16, dtype=np.uint32)
    for code in range(1 << 16):
        char = chr(code)
        category = unicodedata.category(char)
        if char in _APOSTROPHES or category in ("Me", "Cf") or (category == "Mn" and any(code in m for m in _MARKS)):
            kinds[code] = _SILENT
        elif category[0] in "LNM":
            name = unicodedata.name(char, "")
            kinds[code] = _CHARACTER if name.startswith(_IDEOGRAPHIC) else _LETTER
            if kinds[code] == _LETTER:
                folded[code] = ord(unicodedata.normalize("NFD", char)[0])
        elif category in ("So", "Co"):
            kinds[code] = _CHARACTER
    return kinds, folded


_FNV, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_EDGE = np.uint64(ord("#"))


@njit(cache=True, nogil=True)
def _mixed(state: Any, value: Any) -> Any:
    return (state ^ value) * _PRIME


@njit(cache=True, nogil=True)
def _bucket(state: Any, n_buckets: int) -> Any:
    # FNV's low bits are its worst: fold the high ones in
    state ^= state >> np.uint64(29)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(32)
    return 1 + np.int64(state % np.uint64(n_buckets))


@njit(cache=True, nogil=True)
def _tokens(code, kinds, folded, n_texts, n_buckets, ngrams, max_tokens):  # type: ignore[no-untyped-def]
    """Two passes: where the words and characters are, then their ids."""
    letters = np.empty(len(code), np.uint64)
    low, high = np.empty(len(code), np.int64), np.empty(len(code), np.int64)
    is_word, whole = np.empty(len(code), np.bool_), np.empty(len(code), np.uint64)
    text_start = np.zeros(n_texts + 1, np.int64)
    n_letters, p, text, inside = 0, 0, 0, False
    for i in range(len(code) + 1):
        c = code[i] if i < len(code) else np.uint32(0)
        kind = (kinds[c] if c < 65536 else _CHARACTER) if c else _SEPARATOR
        if kind == _SILENT:
            continue
        if inside and kind != _LETTER:
            inside = False
        if c == 0:
            if text < n_texts:
                text_start[text + 1] = p
            text += 1
        elif (kind == _LETTER and inside) or (kind != _SEPARATOR and p - text_start[text] < max_tokens):
            letter = np.uint64(folded[c]) if c < 65536 else np.uint64(c)
            if not inside:
                low[p], is_word[p], whole[p] = n_letters, kind == _LETTER, _mixed(_FNV, np.uint64(kind))
                inside = kind == _LETTER
                p += 1
            letters[n_letters] = letter
            n_letters += 1
            high[p - 1], whole[p - 1] = n_letters, _mixed(whole[p - 1], letter)
    ids = np.empty(2 * n_letters + p * (ngrams + 2), np.int32)
    position_start = np.zeros(p + 1, np.int64)
    n = 0
    for text in range(n_texts):
        for p in range(text_start[text], text_start[text + 1]):
            if is_word[p]:
                n = _trigrams(letters, low[p], min(high[p], low[p] + MOST_LETTERS), n_buckets, ids, n)
            state = _FNV
            for last in range(p, min(p + ngrams, text_start[text + 1])):
                state = _mixed(state, whole[last])
                ids[n] = _bucket(state, n_buckets)
                n += 1
            position_start[p + 1] = n
    return ids[:n].copy(), position_start, text_start


@njit(cache=True, nogil=True)
def _trigrams(letters, low, high, n_buckets, ids, n):  # type: ignore[no-untyped-def]
    """Of # word #; a word of one letter has one, a word of L letters L."""
    for start in range(low - 1, high - 1):
        state = _FNV
        for i in range(start, start + LETTERS):
            state = _mixed(state, letters[i] if low <= i < high else _EDGE)
        ids[n] = _bucket(state, n_buckets)
        n += 1
    return n


@njit(cache=True, nogil=True)
def _covered(q, q_start, asked, d, d_start, found, n):  # type: ignore[no-untyped-def]
    out = np.zeros((len(asked), len(found)), np.bool_)
    last = np.zeros(n, np.int64)  # the item, from 1, that had each id last
    for m in range(len(found)):
        for i in range(d_start[found[m]], d_start[found[m] + 1]):
            last[d[i]] = m + 1
        last[0] = m + 1
        for b in range(len(asked)):
            has_all, n_known = True, 0
            for i in range(q_start[asked[b]], q_start[asked[b] + 1]):
                n_known += q[i] > 0
                if last[q[i]] != m + 1:
                    has_all = False
                    break
            out[b, m] = has_all and n_known > 0
    return out


@njit(cache=True, nogil=True)
def _padded(ids, position_start, text_start, texts, longest):  # type: ignore[no-untyped-def]
    widest = 1
    for text in texts:
        for p in range(text_start[text], text_start[text + 1]):
            widest = max(widest, position_start[p + 1] - position_start[p])
    out = np.zeros((len(texts), longest, widest), np.int32)
    for row in range(len(texts)):
        first = text_start[texts[row]]
        for p in range(first, text_start[texts[row] + 1]):
            for i in range(position_start[p], position_start[p + 1]):
                out[row, p - first, i - position_start[p]] = ids[i]
    return out
