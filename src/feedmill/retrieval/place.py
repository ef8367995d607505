"""Where items and users are: texts of places, the nearest first, as keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np
from msgspec import Meta, field

from feedmill.core.batches import Rows
from feedmill.core.config import Config
from feedmill.features.geohash import LONGEST, encode, is_geohash, neighbours
from feedmill.state import Catalogue

Cell = Annotated[int, Meta(ge=1, le=LONGEST)]
Level = tuple[str, int]  # an attribute and 0, or GEOHASH and the characters of its cells
GEOHASH = "geohash"


class PlaceConfig(Config, frozen=True, kw_only=True):
    """The attributes that say where users and items are; both must call them the same."""

    attributes: Annotated[
        tuple[str, ...], Meta(description="attributes of equal text, the nearest first, such as city, province")
    ] = ("city",)
    geohash: Annotated[str, Meta(description='attribute that is a GeoHash, "" = none')] = ""
    latitude: Annotated[str, Meta(description='attribute in degrees, "" = none')] = ""
    longitude: Annotated[str, Meta(description="the same")] = ""
    precisions: Annotated[
        tuple[Cell, ...],
        Meta(
            min_length=1,
            description="characters of the cells that are tried, nearest first, before the attributes (degrees are "
            "float32: with more than 8 a place may fall into the next cell)",
        ),
    ] = field(default=(6, 5, 4, 3))

    def __post_init__(self) -> None:
        if bool(self.latitude) != bool(self.longitude):
            raise ValueError("latitude without longitude, or the reverse: both, or neither")
        if self.geohash and self.latitude:
            raise ValueError("geohash and latitude: one of the two")
        if list(self.precisions) != sorted(set(self.precisions), reverse=True):
            raise ValueError("precisions must fall: the nearest cells have the most characters")
        if not self.levels:
            raise ValueError("neither attributes nor geohash nor latitude: nothing says where anybody is")

    @property
    def has_cells(self) -> bool:
        return bool(self.geohash or self.latitude)

    @property
    def levels(self) -> list[Level]:
        """What places are told apart by, the nearest first."""
        cells = [(GEOHASH, p) for p in self.precisions] if self.has_cells else []
        return [*cells, *((name, 0) for name in self.attributes)]


class Places:
    """A key for every place, from 1 on in the order of appearance, and the places of items and users.

    Args:
        catalogue: tells what items are; attributes that nothing has are unknown.
        config: see PlaceConfig.
    """

    def __init__(self, catalogue: Catalogue, config: PlaceConfig) -> None:
        self._catalogue, self._config = catalogue, config
        self._keys: dict[tuple[Level, str], int] = {}
        self._of_code: dict[Level, list[int]] = {level: [] for level in config.levels}

    def of_items(self, rows: Rows) -> Rows:
        """Keys int32[n, levels], 0 = unknown."""
        columns, cells = [], self._cells(rows) if self._config.latitude else []
        for level in self._config.levels:
            name, precision = level
            if precision and self._config.latitude:
                columns.append(np.array([self._add(level, cell[:precision]) for cell in cells], np.int32))
            else:
                columns.append(self._by_code(level, self._config.geohash if precision else name, rows))
        return np.stack(columns, axis=1)

    def of_user(self, profile: Rows, context: Mapping[str, str]) -> list[list[int]]:
        """Keys by level, nearest first; cells with those around them, the user's own first. What the request says of
        a place goes before what the user's attributes say."""

        def text(name: str) -> str:
            return context.get(name) or self._catalogue.user_text(name, profile)

        found, cell = [], self._cell(text)
        for name, precision in self._config.levels:
            if precision == 0:
                found.append([text(name)])
            else:
                found.append(_with_neighbours(cell[:precision]) if len(cell) >= precision else [])
        levels = zip(self._config.levels, found, strict=True)
        known = [[self._keys.get((level, t), 0) for t in texts] for level, texts in levels]
        return [[key for key in keys if key] for keys in known]

    def _cell(self, text: Callable[[str], str]) -> str:
        if not self._config.has_cells:
            return ""
        if self._config.geohash:
            found = text(self._config.geohash).lower()
            return found if is_geohash(found) else ""
        try:
            north, east = float(text(self._config.latitude)), float(text(self._config.longitude))
        except ValueError:
            return ""
        return str(encode(north, east, self._config.precisions[0]).item())

    def _by_code(self, level: Level, name: str, rows: Rows) -> Rows:
        if name not in self._catalogue.item_attributes:
            return np.zeros(len(rows), np.int32)
        known = self._of_code[level]
        known.extend(self._key(level, text) for text in self._catalogue.values(name, since=len(known)))
        keys: Rows = np.array(known, np.int32)[self._catalogue.item_codes(name)[rows]]
        return keys

    def _cells(self, rows: Rows) -> list[str]:
        """The narrowest cell of each item by its position, "" where that is not known."""
        names = (self._config.latitude, self._config.longitude)
        if not set(names) <= set(self._catalogue.item_attributes):
            return [""] * len(rows)
        north, east = (self._catalogue.numbers(n)[self._catalogue.item_codes(n)[rows]] for n in names)
        cells: list[str] = encode(north, east, self._config.precisions[0]).tolist()
        return cells

    def _key(self, level: Level, text: str) -> int:
        precision = level[1]
        if precision:
            text = text.lower()[:precision] if is_geohash(text) and len(text) >= precision else ""
        return self._add(level, text)

    def _add(self, level: Level, text: str) -> int:
        return self._keys.setdefault((level, text), len(self._keys) + 1) if text else 0


def _with_neighbours(cell: str) -> list[str]:
    return [cell, *neighbours(cell)]
