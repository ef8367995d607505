"""What is measured: every business metric, defined once.

A measure is sum(num) / sum(den) over users, both of them columns of ``people.people``: what an experiment compares,
what a day's report shows, and what the docs explain. ``DAU``, ``MAU``, coverage and the Gini index are no such sums
over users, and have no denominator: ``business`` computes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from feedmill.core.errors import NotFoundError
from feedmill.core.events import Kind

Group = Literal["consumption", "north_star", "diversity", "new_items"]
RETENTION_DAYS = (1, 7, 30)
MAU_DAYS = 30


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric.

    Attributes:
        name: as config, commands and reports call it.
        num, den: columns of ``people.people``; "" = not a sum over users, see ``business``.
        group: when groups disagree, the north star wins.
        unit: "share" (0 to 1), "s" (seconds), or what is counted.
        better: +1 more is better, -1 less is; 0 neither by itself.
        needs: kinds of events without which there is nothing to measure.
        words: what it says, in a line.
    """

    name: str
    num: str
    den: str
    group: Group
    unit: str
    better: int
    needs: tuple[Kind, ...]
    words: str

    @property
    def is_per_user(self) -> bool:
        """Whether users are its units, so that experiments can compare it."""
        return bool(self.num)


def _per_click(name: str, kind: Kind) -> Measure:
    words = f"{name}s per click"
    return Measure(f"{name}_rate", f"{name}s", "clicks", "consumption", "share", 1, (Kind.CLICK, kind), words)


def _retention(k: int) -> Measure:
    words = f"users who come back {k} day{'s' * (k > 1)} later, on that day, of those for whom it is over"
    return Measure(f"retention_{k}", f"returned_{k}", f"awaited_{k}", "north_star", "share", 1, (), words)


_ALL = (
    Measure("dau", "", "", "north_star", "users", 1, (), "users active on a day"),
    Measure("mau", "", "", "north_star", "users", 1, (), f"users active in the last {MAU_DAYS} days"),
    Measure("active_days", "active_days", "users", "north_star", "days", 1, (), "days on which a user was active"),
    Measure(
        "time_per_user", "watch_s", "users", "north_star", "s", 1, (Kind.WATCH,), "seconds watched per user"
    ),
    Measure("plays_per_user", "watches", "users", "north_star", "items", 1, (Kind.WATCH,), "items played per user"),
    Measure("clicks_per_user", "clicks", "users", "north_star", "items", 1, (Kind.CLICK,), "items opened per user"),
    *(_retention(k) for k in RETENTION_DAYS),
    Measure(
        "publishing", "publishers", "users", "north_star", "share", 1, (Kind.ITEM,),
        "users who published an item, of all users: penetration",
    ),
    Measure(
        "publications", "publications", "users", "north_star", "items", 1, (Kind.ITEM,), "items published per user",
    ),
    Measure(
        "click_rate", "clicks", "impressions", "consumption", "share", 1, (Kind.IMPRESSION, Kind.CLICK),
        "clicks per impression",
    ),
    _per_click("like", Kind.LIKE),
    _per_click("favourite", Kind.FAVOURITE),
    _per_click("share", Kind.SHARE),
    _per_click("comment", Kind.COMMENT),
    Measure(
        "finish_rate", "finishes", "watches", "consumption", "share", 1, (Kind.WATCH, Kind.FINISH),
        "plays that reach the end",
    ),
    Measure(
        "finish_adjusted", "finishes", "finishes_expected", "consumption", "ratio", 1, (Kind.WATCH, Kind.FINISH),
        "finishes over those expected of plays of that length: 1 = as everybody who is compared",
    ),
    Measure("watch_per_play", "watch_s", "watches", "consumption", "s", 1, (Kind.WATCH,), "seconds watched per play"),
    Measure(
        "dislike_rate", "dislikes", "impressions", "consumption", "share", -1, (Kind.IMPRESSION, Kind.DISLIKE),
        "dislikes per impression",
    ),
    Measure(
        "topics_per_request", "topics", "requests", "diversity", "topics", 0, (Kind.IMPRESSION, Kind.ITEM),
        "distinct topics in a feed",
    ),
    Measure(
        "authors_per_request", "authors", "requests", "diversity", "authors", 0, (Kind.IMPRESSION, Kind.ITEM),
        "distinct authors in a feed",
    ),
    Measure("coverage", "", "", "diversity", "share", 0, (Kind.IMPRESSION,), "items shown, of all there are"),
    Measure(
        "gini", "", "", "diversity", "index", 0, (Kind.IMPRESSION,),
        "how unequally impressions fall on items: 0 = all alike, 1 = one has them all",
    ),
    Measure(
        "new_share", "new_impressions", "impressions", "new_items", "share", 0, (Kind.IMPRESSION, Kind.ITEM),
        "impressions of items published within a week",
    ),
)  # fmt: skip
MEASURES: dict[str, Measure] = {m.name: m for m in _ALL}
PER_USER = tuple(m.name for m in _ALL if m.is_per_user)


def measure(name: str) -> Measure:
    """The measure of that name.

    Raises:
        NotFoundError: there is none.
    """
    if name not in MEASURES:
        raise NotFoundError(f"no measure {name!r}", f"one of {', '.join(MEASURES)}")
    return MEASURES[name]
