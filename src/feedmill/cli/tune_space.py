"""What `feedmill tune` searches: a range or a list of values for each parameter that is worth a search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from feedmill.core.config import nearest
from feedmill.core.errors import ConfigError


class Range(NamedTuple):
    """Numbers from low to high, both included; ``log`` draws their logarithm evenly, ``whole`` rounds."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, random: np.random.Generator) -> float | int:
        """Of three significant digits, so that it can be pasted."""
        a, b = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        x = float(random.uniform(a, b))
        x = math.exp(x) if self.log else x
        return round(x) if self.whole else min(max(float(f"{x:.3g}"), self.low), self.high)

    def __str__(self) -> str:
        return f"{self.low:g} .. {self.high:g}{', by factors' if self.log else ''}"


class OneOf(NamedTuple):
    """Values to choose from."""

    values: tuple[Any, ...]

    def draw(self, random: np.random.Generator) -> Any:
        return self.values[int(random.integers(len(self.values)))]

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


Space = Mapping[str, Range | OneOf]

# Of the built-in kinds, the parameters that move quality, over what is plausible. A kind that is not here (a channel
# of another package) is searched over every parameter whose Config bounds it on both sides or names its values.
SPACES: dict[str, Space] = {
    "popular": {"half_life_days": Range(0.5, 365, log=True)},
    "itemcf": {
        "top_k": Range(20, 500, log=True, whole=True),
        "user_exponent": Range(0, 1.2),
        "norm": OneOf(("weighted", "count")),
        "item_exponent": Range(0.1, 0.8),
        "history_exponent": Range(0, 0.8),
        "shrinkage": Range(0.3, 100, log=True),
        "scale_rows": OneOf((False, True)),
        "last_n": Range(10, 200, log=True, whole=True),
        "recency": Range(0.7, 1),
    },
    "swing": {
        "top_k": Range(20, 500, log=True, whole=True),
        "alpha": Range(0.3, 100, log=True),
        "user_exponent": Range(0, 1),
        "item_exponent": Range(0, 0.6),
        "scale_rows": OneOf((False, True)),
        "last_n": Range(10, 200, log=True, whole=True),
        "recency": Range(0.7, 1),
    },
    "ridge": {
        "top_k": Range(20, 500, log=True, whole=True),
        "n_regressors": Range(20, 400, log=True, whole=True),
        "l2": Range(0.1, 300, log=True),
        "user_exponent": Range(0, 1),
        "item_exponent": Range(0, 0.5),
        "scale_rows": OneOf((False, True)),
        "last_n": Range(10, 200, log=True, whole=True),
    },
    "usercf": {
        "top_k": Range(30, 500, log=True, whole=True),
        "discount": OneOf(("log", "power")),
        "discount_exponent": Range(0.2, 1.2),
        "item_exponent": Range(0, 0.6),
        "neighbour_items": Range(10, 500, log=True, whole=True),
    },
    "model": {  # [train.NAME] of a channel that learns
        "learning_rate": Range(5e-4, 1e-2, log=True),
        "epochs": Range(2, 16, log=True, whole=True),
        "temperature": Range(0.03, 0.5, log=True),
        "embedding_dim": OneOf((16, 32, 64)),
        "dropout": Range(0, 0.5),
    },
}


def space_of(kind: str, config: type[msgspec.Struct]) -> Space:
    """What to search for a kind of channel: its table, or what its parameters' own bounds allow."""
    if kind in SPACES:
        known = set(config.__struct_fields__)
        return {name: values for name, values in SPACES[kind].items() if name in known}
    fields = msgspec.inspect.type_info(config).fields  # type: ignore[attr-defined]
    found = {field.name: _bounds(field.type) for field in fields}
    return {name: values for name, values in found.items() if values is not None}


def parsed(text: str, known: Space) -> tuple[str, Range | OneOf]:
    """``name=low..high`` or ``name=a,b,c``; a range keeps the scale of the table's.

    Raises:
        ConfigError: neither.
    """
    name, sign, values = text.partition("=")
    given = known.get(name)
    if not sign or not values:
        raise ConfigError(f"--range {text}", "name=low..high or name=a,b,c", nearest(name, known))
    low, dots, high = values.partition("..")
    try:
        if dots:
            a, b = float(low), float(high)
            if not a <= b:
                raise ValueError("low is above high")
            was = given if isinstance(given, Range) else Range(a, b, whole=low.isdigit() and high.isdigit())
            return name, Range(a, b, was.log and a > 0, was.whole)
        return name, OneOf(tuple(_value(v) for v in values.split(",")))
    except ValueError as e:
        raise ConfigError(f"--range {text}: {e}", "name=low..high or name=a,b,c") from None


def _value(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _bounds(info: Any) -> Range | OneOf | None:
    low = high = None
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    inspect = msgspec.inspect
    if isinstance(info, inspect.BoolType):
        return OneOf((False, True))
    if isinstance(info, inspect.LiteralType):
        return OneOf(tuple(info.values))
    if isinstance(info, inspect.IntType | inspect.FloatType):
        low = info.ge if info.ge is not None else info.gt
        high = info.le if info.le is not None else info.lt
    if low is None or high is None:
        return None
    whole = isinstance(info, inspect.IntType)
    inside = 0 if whole else (high - low) * 1e-3
    low, high = low + (inside if info.gt is not None else 0), high - (inside if info.lt is not None else 0)
    return Range(float(low), float(high), log=low > 0 and high / low >= 50, whole=whole)
