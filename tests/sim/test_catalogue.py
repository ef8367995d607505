"""Videos against the figures of real ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from feedmill.core.events import Kind
from feedmill.sim.catalogue import HEAD, N_EACH, described, make_videos, taken_down, topic_part, topic_shares
from feedmill.sim.config import DAY_MS, TasteConfig, WorldConfig
from feedmill.sim.titles import TOPICS

CONFIG = WorldConfig(n_videos=40_000)


@pytest.fixture(scope="module")
def videos():  # type: ignore[no-untyped-def]
    return make_videos(CONFIG, 3, 0, CONFIG.n_videos, -1)


def test_durations_are_those_of_kuairand(videos) -> None:  # type: ignore[no-untyped-def]
    logs = np.log(videos.duration_s)
    assert logs.mean() == pytest.approx(4.23, abs=0.02)
    assert logs.std() == pytest.approx(1.03, abs=0.03)
    quantiles = np.quantile(videos.duration_s, [0.05, 0.25, 0.5, 0.75, 0.95])
    # real ones are not quite log-normal: the law of that mean and sd has 12.6, 34, 69, 138 and 374 itself
    np.testing.assert_allclose(quantiles, [10.7, 32, 81, 148, 303], rtol=0.3)


def test_topics_are_as_many_and_as_uneven_as_real_ones(videos) -> None:  # type: ignore[no-untyped-def]
    n_each = np.bincount((videos.topics >= 0).sum(axis=1), minlength=4) / len(videos)
    np.testing.assert_allclose(n_each[1:], N_EACH, atol=0.015)
    share = np.array([(videos.topics == t).any(axis=1).mean() for t in range(110)])
    np.testing.assert_allclose(share[:5], HEAD, atol=0.012)
    assert (np.argsort(-share)[:5] == np.arange(5)).all()
    assert share.min() < 0.002
    distinct = [len({t for t in row if t >= 0}) for row in videos.topics[:2000].tolist()]
    assert distinct == (videos.topics[:2000] >= 0).sum(axis=1).tolist()


def test_most_authors_have_one_video(videos) -> None:  # type: ignore[no-untyped-def]
    assert len(np.unique(videos.author)) / len(videos) == pytest.approx(6510 / 7583, abs=0.03)
    assert (videos.author <= np.arange(len(videos))).all()


def test_videos_of_an_author_are_alike(videos) -> None:  # type: ignore[no-untyped-def]
    by_author = np.argsort(videos.author, kind="stable")
    same = np.flatnonzero(np.diff(videos.author[by_author]) == 0)
    first, second = by_author[same], by_author[same + 1]
    assert (videos.topics[first, 0] == videos.topics[second, 0]).all()
    latent = videos.vector[:, CONFIG.n_topics :]
    together = np.mean([np.corrcoef(latent[first, d], latent[second, d])[0, 1] for d in range(latent.shape[1])])
    assert together == pytest.approx(CONFIG.taste.author_share, abs=0.05)
    assert latent.std() == pytest.approx(1, abs=0.02)


def test_the_vector_has_the_topics_in_it(videos) -> None:  # type: ignore[no-untyped-def]
    part = videos.vector[:, : CONFIG.n_topics]
    np.testing.assert_allclose((part**2).sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(part > 0, topic_part(videos.topics, CONFIG.n_topics) > 0)
    assert topic_part(np.array([[3, 1, -1]], np.int16), 4).tolist() == [
        pytest.approx([0, 0.5**0.5, 0, 0.5**0.5], abs=1e-6)
    ]


def test_what_is_said_of_a_video_is_what_a_service_knows(videos) -> None:  # type: ignore[no-untyped-def]
    events = described(videos, np.array([0, 5]), 77)
    assert events.numpy("kind").tolist() == [Kind.ITEM, Kind.ITEM]
    assert events.numpy("time_ms").tolist() == [77, 77]
    said = json.loads(events.table.column("payload")[1].as_py())
    assert set(said) == {"title", "title_zh", "author_id", "topics", "duration_s", "publish_ms", "language", "city"}
    assert said["topics"] == [TOPICS[t][0] for t in videos.topics[5].tolist() if t >= 0]
    assert said["duration_s"] == pytest.approx(videos.duration_s[5], abs=0.01)
    gone = taken_down(videos, np.array([5]), 78)
    assert json.loads(gone.table.column("payload")[0].as_py()) == {"deleted": True}


def test_the_first_have_all_ages_and_later_ones_are_a_day_old_at_most(videos) -> None:  # type: ignore[no-untyped-def]
    age = (CONFIG.start_ms - videos.born_ms) / DAY_MS
    assert age.min() >= 0
    assert age.max() <= CONFIG.video_days
    assert age.mean() == pytest.approx(15, abs=0.3)
    later = make_videos(CONFIG, 3, 40_000, 100, 4)
    age = (CONFIG.start_ms + 4 * DAY_MS - later.born_ms) / DAY_MS
    assert age.min() >= 0
    assert age.max() <= 1
    assert later.ids[0] == "v40000"


@pytest.mark.parametrize("n_topics", [0, 1, 3, 110])
def test_shares_of_any_number_of_topics(n_topics: int) -> None:
    shares = topic_shares(n_topics)
    assert len(shares) == n_topics
    assert (np.diff(shares) <= 1e-12).all()
    assert n_topics == 0 or shares.sum() == pytest.approx(1)


def test_no_topics_and_nothing_hidden_leaves_empty_vectors() -> None:
    config = WorldConfig(n_videos=10, n_topics=0, taste=TasteConfig(n_latent=0))
    videos = make_videos(config, 1, 0, 10, -1)
    assert videos.vector.shape == (10, 0)
    assert (videos.topics == -1).all()
    assert json.loads(videos.said[0]).get("topics") is None
