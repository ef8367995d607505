"""The suite of watch-time heads over the whole table."""

from __future__ import annotations

import numpy as np
import pytest

from contracts import watch_time as suite
from feedmill.core.errors import DataError
from feedmill.models import WATCH_TIME

CHECKS = [name for name in vars(suite) if name.startswith("check_")]
SECONDS, DURATION = np.array([0, 3, 9, 30], np.float32), np.array([10, 20, np.nan, 15], np.float32)


def test_every_kind_has_a_variant() -> None:
    assert {block["kind"] for block in suite.VARIANTS.values()} == set(WATCH_TIME)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("variant", suite.VARIANTS)
def test_head(variant: str, check: str) -> None:
    getattr(suite, check)(suite.made(variant))


@pytest.mark.parametrize("variant", suite.VARIANTS)
def test_it_says_what_it_is(variant: str) -> None:
    about = suite.made(variant).about
    assert all(len(words) > 3 for words in about)


@pytest.mark.parametrize("variant", suite.VARIANTS)
@pytest.mark.parametrize(
    ("seconds", "duration", "said"),
    [
        (SECONDS[:0], DURATION[:0], "0 watch times"),
        (np.array([1, -2, 3, 4], np.float32), DURATION, "below 0 or not numbers"),
        (np.array([1, np.nan, 3, 4], np.float32), DURATION, "below 0 or not numbers"),
        (SECONDS, np.array([10, 0, np.nan, 15], np.float32), "durations of 0 s"),
        (SECONDS, DURATION[:3], "4 watch times and 3 durations"),
    ],
)
def test_labels_that_cannot_be_are_refused(variant: str, seconds: np.ndarray, duration: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        suite.made(variant, seconds, duration)
