"""What it costs to show items that nobody knows: the share of places they took, and the clicks those brought."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from feedmill.core.batches import LANES
from feedmill.core.events import EventBatch
from feedmill.core.request import Trace
from feedmill.metrics.intervals import Interval, bootstrap


@dataclass(frozen=True, slots=True)
class Exploration:
    """Places of feeds that exploration took, against all others.

    Attributes:
        n_shown, n_explored: places of all feeds, and those that exploration took.
        click_rate, click_rate_others: clicks per place of each; NaN where there is no place.
        difference: click rate explored minus others within the same user, over users who were shown both.
    """

    n_shown: int
    n_explored: int
    click_rate: float
    click_rate_others: float
    difference: Interval

    @property
    def share(self) -> float:
        """Of all places; NaN if there is none."""
        return self.n_explored / self.n_shown if self.n_shown else float("nan")

    @property
    def clicks_forgone(self) -> float:
        """Clicks that the places would have brought had they been clicked like the others; below 0 is a gain."""
        return self.n_explored * (self.click_rate_others - self.click_rate)


def exploration(
    traces: Iterable[Trace], events: EventBatch, channel: str = "fresh", *, above: float = 1.0, seed: int = 0
) -> Exploration:
    """Measure what one channel's draws cost.

    Args:
        traces: the accounts of feeds that were shown; a request counts once.
        events: clicks on them, that is behaviour with their ``request_id``; all else is left out.
        channel: the one that explores.
        above: a place was taken by exploration if the channel gave its item more than this: ``FreshChannel`` draws
            score above 1. The channel alone must have found it; what others would have shown anyway costs nothing.
        seed: of the interval.
    """
    kind, is_click = events.numpy("kind"), [int(k) for k in LANES["clicked"]]
    feeds = events.take(np.flatnonzero(np.isin(kind, is_click)))
    clicks = set(zip(feeds.numpy("request_id").tolist(), feeds.numpy("item_id").tolist(), strict=True))
    user, explored, clicked = [], [], []
    for trace in {trace.request_id: trace for trace in traces}.values():
        for item in trace.items:
            user.append(trace.user_id)
            explored.append(set(item.channels) == {channel} and item.channels[channel] > above)
            clicked.append((trace.request_id, item.item_id) in clicks)
    is_explored, is_clicked = np.array(explored, np.bool_), np.array(clicked, np.bool_)
    _, of_user = np.unique(np.array(user, np.str_), return_inverse=True)
    per_user = _rates(of_user[is_explored], is_clicked[is_explored], of_user) - _rates(
        of_user[~is_explored], is_clicked[~is_explored], of_user
    )
    return Exploration(
        n_shown=len(is_explored),
        n_explored=int(is_explored.sum()),
        click_rate=_mean(is_clicked[is_explored]),
        click_rate_others=_mean(is_clicked[~is_explored]),
        difference=bootstrap(per_user, seed, purpose="exploration"),
    )


def _rates(
    of_user: np.ndarray[tuple[int], np.dtype[np.intp]],
    clicked: np.ndarray[tuple[int], np.dtype[np.bool_]],
    everyone: np.ndarray[tuple[int], np.dtype[np.intp]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """float64[U] clicks per place of each user, NaN without a place."""
    n_users = int(everyone.max(initial=-1)) + 1
    places = np.bincount(of_user, minlength=n_users)
    with np.errstate(invalid="ignore"):
        rates: np.ndarray[tuple[int], np.dtype[np.float64]] = np.bincount(of_user, clicked, minlength=n_users) / places
    return rates


def _mean(clicked: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    return float(clicked.mean()) if len(clicked) else float("nan")
