"""Who may be shown what: age limits, and where an item may be seen."""

from __future__ import annotations

from threading import Lock
from typing import Annotated

import numpy as np
from msgspec import Meta

from feedmill.core.batches import CandidateBatch, Mask, Rows, UserColumns
from feedmill.core.config import Config
from feedmill.core.request import FeedRequest
from feedmill.state import Catalogue, State
from feedmill.state.attributes import as_number


class EligibleConfig(Config, frozen=True, kw_only=True):
    """Which attributes of items say who may see them, and which of users who they are."""

    min_age: Annotated[str, Meta(description="item attribute: years from which an item may be seen")] = "min_age"
    age: Annotated[str, Meta(description="user attribute: years")] = "age"
    unknown_age: Annotated[
        float, Meta(ge=0, description="years of a user whose age is not known; 0 = what has a limit is kept from them")
    ] = 0.0
    regions: Annotated[
        str, Meta(description="item attribute: where alone it may be seen, codes with commas between them")
    ] = "regions"
    blocked_regions: Annotated[str, Meta(description="item attribute: where it may not be seen, likewise")] = (
        "blocked_regions"
    )
    region: Annotated[
        str, Meta(description="user attribute: one code; what the context of a request says of it goes first")
    ] = "region"


class Eligible:
    """What a user is too young for, or may not be shown where they are. An item without limits may be seen by all.

    Ages are numbers; other text is an age or a limit that is not known. Codes of regions are compared without regard to
    case and blanks. A user whose region is not known is shown only what is limited to none and blocked in none.

    Args:
        config: see EligibleConfig; attributes that no item has limit nothing.
        state: its catalogue says what items are and what the codes of a user's profile mean.
    """

    Config = EligibleConfig
    reason = "eligible"
    soft = False

    def __init__(self, config: EligibleConfig, state: State) -> None:
        self._config, self._catalogue = config, state.catalogue
        self._only, self._not = (_Lists(state.catalogue, n) for n in (config.regions, config.blocked_regions))

    def keep(self, request: FeedRequest, user: UserColumns, candidates: CandidateBatch) -> Mask:
        """bool[C]."""
        name, known = self._config.region, self._catalogue.user_text(self._config.region, user.profile[0])
        region = _code(request.context.get(name) or known)
        item = candidates.item
        listed, limited = self._only.of(item, region)
        blocked, anywhere = self._not.of(item, region)
        where: Mask = (listed | ~limited) & ~(blocked if region else anywhere)
        return where & self._is_old_enough(item, user.profile[0])

    def _is_old_enough(self, item: Rows, profile: Rows) -> Mask:
        catalogue, name = self._catalogue, self._config.min_age
        if name not in catalogue.item_attributes:
            return np.ones(len(item), np.bool_)
        years = as_number(catalogue.user_text(self._config.age, profile))
        years = self._config.unknown_age if np.isnan(years) else years
        mask: Mask = ~(catalogue.numbers(name)[catalogue.item_codes(name)[item]] > years)  # NaN = no limit
        return mask


class _Lists:
    """An attribute of items whose texts are lists of regions, read once each."""

    def __init__(self, catalogue: Catalogue, name: str) -> None:
        self._catalogue, self._name, self._lock = catalogue, name, Lock()
        self._with: dict[str, list[int]] = {}  # region -> codes of texts that have it
        self._has_any = np.zeros(0, np.bool_)  # by code

    def of(self, item: Rows, region: str) -> tuple[Mask, Mask]:
        """bool[C] whether an item's list has the region, and whether it has any."""
        if self._name not in self._catalogue.item_attributes:
            return np.zeros(len(item), np.bool_), np.zeros(len(item), np.bool_)
        with self._lock:
            self._read()
            has_it, has_any = np.zeros(len(self._has_any), np.bool_), self._has_any
            has_it[self._with.get(region, [])] = True
        codes = self._catalogue.item_codes(self._name)[item]
        return has_it[codes], has_any[codes]

    def _read(self) -> None:
        """What is new among the texts."""
        n = len(self._has_any)
        found = [{r for r in map(_code, text.split(",")) if r} for text in self._catalogue.values(self._name, since=n)]
        if found:
            for code, regions in enumerate(found, start=n):
                for region in regions:
                    self._with.setdefault(region, []).append(code)
            self._has_any = np.concatenate([self._has_any, np.array([bool(regions) for regions in found])])


def _code(text: str) -> str:
    return text.strip().casefold()
