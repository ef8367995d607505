"""Words for made videos."""

from __future__ import annotations

import numpy as np

from feedmill.sim.titles import CITIES, TOPICS, titles


def test_there_are_110_topics_and_30_cities_each_with_two_names_of_its_own() -> None:
    for pairs, n in ((TOPICS, 110), (CITIES, 30)):
        assert len(pairs) == n
        assert len({english for english, _ in pairs}) == n == len({chinese for _, chinese in pairs})
        assert all(english.isascii() and english for english, _ in pairs)
        assert all(not chinese.isascii() and " " not in chinese for _, chinese in pairs)


def test_a_title_says_the_topic_in_both_languages() -> None:
    n = 16
    topic, city = np.full(n, 2), np.full(n, 1)
    english, chinese = titles(topic, city, np.arange(1, n + 1), np.arange(n))
    assert all("pets" in title.lower() for title in english)
    assert all("萌宠" in title for title in chinese)
    assert all("{" not in title and not title[0].islower() for title in english)
    assert len(set(english)) == n == len(set(chinese))


def test_without_topics_it_is_a_video() -> None:
    english, chinese = titles(np.array([-1]), np.array([0]), np.array([3]), np.array([0]))
    assert english == ["The best videos in Beijing, part 3"]
    assert chinese == ["北京最好的视频 第3集"]
