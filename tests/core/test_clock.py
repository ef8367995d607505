from __future__ import annotations

from feedmill.core.clock import NewestClock, rng


def test_the_newest_clock_stands_until_something_newer_comes() -> None:
    newest = [0]
    clock = NewestClock(lambda: max(newest))
    assert clock.now_ms() == 0
    newest.append(86_400_000)
    assert [clock.now_ms(), clock.now_ms()] == [86_400_000] * 2
    newest.append(5)
    assert clock.now_ms() == 86_400_000


def test_purposes_have_streams_of_their_own() -> None:
    assert rng(1, "a").random() == rng(1, "a").random() != rng(1, "b").random()
