from __future__ import annotations

import numpy as np
import pytest

from feedmill.core.batches import CandidateBatch, UserColumns
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedRequest
from feedmill.retrieval.itemcf import ItemCFChannel, ItemCFConfig
from feedmill.samples import InterestConfig, interactions
from feedmill.serve.full_ranking import ask, measure, random_part, task
from feedmill.state import State, StateConfig
from worlds import START_MS, click, tastes


def log(pairs: list[tuple[str, str]]) -> EventBatch:
    return EventBatch.rows([click(START_MS + n, u, i) for n, (u, i) in enumerate(pairs)])


TRAIN = log([("u", "a"), ("u", "b"), ("v", "a"), ("v", "c"), ("w", "d")])


class Fixed:
    """Answers items in the order of rows, whoever asks."""

    name = "fixed"

    def __init__(self, n_items: int) -> None:
        self.n_items, self.asked = n_items, list[tuple[str, int]]()

    def fetch(self, request: FeedRequest, user: UserColumns, limit: int) -> CandidateBatch:
        self.asked.append((request.user_id, limit))
        rows = np.arange(1, self.n_items, dtype=np.int32)[:limit]
        return CandidateBatch.of(self.name, rows, np.linspace(1, 0.1, len(rows)))


def test_a_channel_is_asked_for_enough_and_what_was_seen_is_dropped() -> None:
    of = task("small", TRAIN, (["u", "v"], ["c", "b"]))
    channel = Fixed(len(of.state.items))
    answers = ask(channel, of, 2)
    assert channel.asked == [("u", 4), ("v", 4)]
    assert [of.state.items.ids(row[row > 0]) for row in answers.item] == [["c", "d"], ["b", "d"]]
    assert (np.diff(answers.score, axis=1) < 0).all()


def test_recall_and_ndcg_are_those_of_the_leaderboards() -> None:
    of = task("small", TRAIN, (["u", "u", "v"], ["c", "x", "b"]))
    c, d, b, x = of.state.items.rows(["c", "d", "b", "x"])
    ranked = np.array([[d, c], [b, d]], np.int32)
    quality = measure(ranked, of, k=2)
    assert quality.recall_of.tolist() == [0.5, 1.0]  # one of two; one of one
    ideal = 1 + 1 / np.log2(3)
    assert quality.ndcg_of == pytest.approx([(1 / np.log2(3)) / ideal, 1.0])
    assert quality.recall.mean == pytest.approx(0.75)
    assert x > 0  # registered, though nobody met it in training


def test_only_the_users_asked_count() -> None:
    of = task("small", TRAIN, (["u", "v"], ["c", "b"]))
    some = np.array([False, True])
    answers = ask(Fixed(len(of.state.items)), of, 2, some)
    assert answers.item[0].tolist() == [0, 0]
    assert measure(answers.item, of, k=2, users=some).recall.mean == 1.0


def test_a_pair_of_the_training_log_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match="in the training log"):
        task("leak", TRAIN, (["u"], ["a"]))
    with pytest.raises(DataError, match="nothing is held out"):
        task("none", TRAIN, ([], []))


def test_the_hash_names_the_pairs_in_any_order() -> None:
    one, two = (task("t", TRAIN, held).hash for held in ((["u", "v"], ["c", "b"]), (["v", "u"], ["b", "c"])))
    assert one == two != task("t", TRAIN, (["u"], ["c"])).hash


def test_a_user_is_seen_with_all_items_also_those_that_the_state_forgot() -> None:
    pairs = [("u", f"i{n}") for n in range(9)]
    of = task("long", log([*pairs, ("v", "z")]), (["u"], ["z"]), StateConfig(history_len=3))
    row = of.state.users.row("u")
    user = of.view(row)
    assert of.state.items.ids(user.recent("clicked")) == [f"i{n}" for n in range(8, -1, -1)]
    assert user.history_ms[0, 0].tolist() == [START_MS + n for n in range(8, -1, -1)]
    assert user.row[0] == row
    short = task("short", log([*pairs, ("v", "z")]), (["u"], ["z"]))
    assert short.state.items.ids(short.view(short.state.users.row("u")).recent("clicked")) == [
        f"i{n}" for n in range(8, -1, -1)
    ]


def test_a_random_part_takes_whole_pairs_and_leaves_every_user_something() -> None:
    events = tastes(20, 40, 10)  # every other click is a like as well
    rest, (users, items) = random_part(events, 0.3, 7)
    state = State()
    state.register(events)
    assert len(users) == 20 * 3
    left = interactions(rest, state, InterestConfig())
    both = set(zip(state.users.ids(left.user), state.items.ids(left.item), strict=True)) & set(
        zip(users, items, strict=True)
    )
    assert both == set()
    assert len(left) == 20 * 7
    assert (rest.numpy("kind") == Kind.ITEM).sum() == 40  # what describes stays
    again = random_part(events, 0.3, 7)
    assert again[1] == (users, items)
    assert random_part(events, 0.3, 8)[1] != (users, items)


def test_nobody_loses_the_last_item() -> None:
    rest, (users, _) = random_part(log([("u", "a"), ("v", "a"), ("v", "b")]), 0.9, 0)
    assert users == ["v"]
    assert rest.numpy("user_id").tolist().count("u") == 1


def test_a_real_channel_finds_what_is_alike() -> None:
    rest, held = random_part(tastes(40, 30, 12), 0.2, 1)
    of = task("tastes", rest, held)
    config = ItemCFConfig(last_n=100)
    part = ItemCFChannel.build(of.interactions, of.state, config, 0)
    quality = measure(ask(ItemCFChannel("itemcf", config, part, of.state), of).item, of)
    assert quality.recall.mean > 0.95  # 15 items of each taste, and 20 places
