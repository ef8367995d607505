"""Texts as ids: by hand, by brute force in Python, and whatever anybody types."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.events import EventBatch, Kind
from feedmill.features.text import TextConfig, Tokens, covered, fit_slots, item_texts, tokenise
from feedmill.state import State

CONFIG = TextConfig()
WORDS = st.text(st.sampled_from("abcdé好电影 #'-\0Ωи1９🎬ß\ud800"), max_size=30)


def bags(tokens: Tokens, text: int = 0) -> list[list[int]]:
    """The ids of every position of a text."""
    positions = range(tokens.text_start[text], tokens.text_start[text + 1])
    return [tokens.ids[tokens.position_start[p] : tokens.position_start[p + 1]].tolist() for p in positions]


def one(text: str, ngrams: int = 1, config: TextConfig = CONFIG) -> list[list[int]]:
    return bags(tokenise([text], config, ngrams))


def fnv(*codes: int) -> int:
    state = 0xCBF29CE484222325
    for code in codes:
        state = (state ^ code) * 0x100000001B3 % 2**64
    return state


def bucket(state: int, n_buckets: int = CONFIG.n_buckets) -> int:
    state ^= state >> 29
    state = state * 0xBF58476D1CE4E5B9 % 2**64
    return 1 + (state ^ state >> 32) % n_buckets


def test_a_word_is_its_letter_trigrams_and_itself() -> None:
    """Huang et al. 2013: good -> #go, goo, ood, od#."""
    trigrams = [bucket(fnv(*map(ord, t))) for t in ("#go", "goo", "ood", "od#")]
    word = bucket(fnv(fnv(1, *map(ord, "good"))))
    assert one("Good") == [[*trigrams, word]]


def test_a_short_word_and_a_mistyped_one() -> None:
    assert len(one("a")[0]) == 2  # #a#, and the word
    right, wrong = (set(one(w)[0]) for w in ("terminator", "termnator"))
    assert len(right & wrong) >= 6


def test_chinese_is_read_by_characters() -> None:
    film = one("电影好")
    assert [len(p) for p in film] == [1, 1, 1]
    assert film[2] == one("好")[0]


def test_runs_have_ids_of_their_own() -> None:
    pairs = one("电影好", ngrams=2)
    assert [len(p) for p in pairs] == [2, 2, 1]
    assert pairs[0][1] == one("电影", ngrams=2)[0][1] != one("影电", ngrams=2)[0][1]
    assert one("good film", ngrams=2)[0][-1] == one("GOOD, film!", ngrams=2)[0][-1]


def test_a_mixed_title() -> None:
    assert [len(p) for p in one("看Avatar阿凡达2")] == [1, 7, 1, 1, 1, 2]
    assert one("看Avatar阿凡达2")[1] == one("avatar")[0]


@pytest.mark.parametrize(
    ("one_way", "another"),
    [("Amélie", "amelie"), ("Ocean’s", "oceans"), ("ＡＢＣ１", "abc1"), ("Straße", "STRASSE"), ("e\u0301t", "ét")],
)
def test_what_people_do_not_tell_apart(one_way: str, another: str) -> None:
    assert one(one_way) == one(another)


@pytest.mark.parametrize("text", ["", " \t\n", "!?—…", "\0\0", "'"])
def test_nothing_to_read(text: str) -> None:
    tokens = tokenise([text, "a"], CONFIG)
    assert tokens.lengths.tolist() == [0, 1]
    assert not tokens.bags(np.array([0])).any()


def test_any_script_is_read() -> None:
    for text in ("Привет мир", "สวัสดี", "مرحبا", "नमस्ते", "안녕하세요", "🎬🍿", "𠀀𠀁", "\ud800x"):
        assert len(one(text)) >= 1, text
    assert len(one("🎬🍿")) == 2
    assert one("कि") != one("क")  # a vowel sign is no accent


def test_layouts() -> None:
    tokens = tokenise(["good film", "", "好"], CONFIG)
    sequences = tokens.sequences(np.array([2, 0, 1]), least=3)
    assert sequences.shape == (3, 3, 5)
    assert sequences[0, 0, :2].tolist() == [*one("好")[0], 0]
    assert sequences[1, 0].tolist() == one("good")[0]
    assert not sequences[2].any()
    whole = tokens.bags(np.array([0, 1]))
    assert whole.shape == (2, 1, 10)
    assert whole[0, 0].tolist() == one("good")[0] + one("film")[0]
    assert tokens.sequences(np.zeros(0, np.int64)).shape == (0, 1, 1)


def test_limits() -> None:
    short = TextConfig(max_tokens=2)
    assert one("a b c d", config=short) == one("a b")
    assert len(one("x" * 5_000)[0]) == 33  # trigrams of 32 letters, and the word
    assert one("x" * 5_000)[0][-1] != one("x" * 4_999)[0][-1]
    few = tokenise(["any words at all 电影"], TextConfig(n_buckets=3))
    assert set(few.ids.tolist()) <= {1, 2, 3}


@given(st.lists(WORDS, max_size=6), st.integers(1, 3))
def test_a_text_does_not_know_its_neighbours(texts: list[str], ngrams: int) -> None:
    together = tokenise(texts, CONFIG, ngrams)
    assert len(together) == len(texts)
    assert ((together.ids > 0) & (together.ids <= CONFIG.n_buckets)).all()
    for i, text in enumerate(texts):
        assert bags(together, i) == one(text, ngrams)


@pytest.mark.slow
def test_the_hash_is_the_same_in_another_process() -> None:
    code = "from feedmill.features.text import *\nprint(tokenise(['Good 电影 café'], TextConfig(), 2).ids.tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tokenise(["Good 电影 café"], CONFIG, 2).ids.tolist())


def test_slots_of_what_is_seen_often_enough() -> None:
    config = TextConfig(min_count=2)
    tokens = tokenise(["a b", "a c"], config)
    slots = fit_slots(config, tokens)
    assert slots.max() == 2  # #a#, and a
    assert tokens.slotted(slots).ids.tolist().count(0) == 4
    assert fit_slots(config, tokenise([], config)).max() == 0


@given(st.lists(WORDS, min_size=1, max_size=5), st.lists(WORDS, min_size=1, max_size=5))
def test_what_has_every_word_of_a_query(asked: list[str], there: list[str]) -> None:
    config = TextConfig(min_count=2)
    queries, items = tokenise(asked, config), tokenise(there, config)
    slots = fit_slots(config, queries, items)
    queries, items = queries.slotted(slots), items.slotted(slots)
    found = covered(queries, np.arange(len(asked)), items, np.arange(len(there)))
    for b in range(len(asked)):
        wanted = set(queries.bags(np.array([b])).ravel().tolist()) - {0}
        for m in range(len(there)):
            have = set(items.bags(np.array([m])).ravel().tolist())
            assert found[b, m] == (bool(wanted) and wanted <= have)


def test_it_is_quick() -> None:
    texts = [f"some film {i} 电影名字 of a usual length" for i in range(20_000)]
    tokenise(texts[:10], CONFIG)
    start = perf_counter()
    tokenise(texts, CONFIG, 2)
    assert len(texts) / (perf_counter() - start) > 20_000  # 150,000 on a quiet machine


def test_texts_of_items() -> None:
    state = State()
    payloads = ['{"title": "Toy Story", "topics": ["Comedy", "Animation"]}', '{"topics": ["War"]}', "{}"]
    state.fold(EventBatch.of({"kind": int(Kind.ITEM), "item_id": ["a", "b", "c"], "payload": payloads}))
    assert item_texts(state, CONFIG) == ["", "Toy Story Comedy Animation", "War", ""]
    assert item_texts(state, TextConfig(topics=False)) == ["", "Toy Story", "", ""]
