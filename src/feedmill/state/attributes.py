"""Categorical attributes: names, and a code for every value, both in order of first appearance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from feedmill.core.batches import Floats
from feedmill.core.config import nearest
from feedmill.core.errors import NotFoundError

Write = tuple[int, int]  # attribute, code
LARGEST = float(np.finfo(np.float32).max)


class Attributes:
    """The vocabulary of one table's attributes. Code 0 is unknown.

    Args:
        of: what the attributes are of, for messages.
        most: how many names are kept; later ones are refused.
    """

    def __init__(self, of: str, most: int) -> None:
        self._of, self._most = of, most
        self._row: dict[str, int] = {}
        self._values: dict[str, list[str]] = {}
        self._codes: dict[str, dict[str, int]] = {}
        self._numbers: dict[str, Floats] = {}

    def __len__(self) -> int:
        return len(self._values)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def row(self, name: str) -> int:
        """Raises NotFoundError: nothing has that attribute."""
        if name not in self._row:
            raise NotFoundError(
                f'no {self._of} has the attribute "{name}"',
                f"one of {sorted(self._values)}",
                nearest(name, self._values),
            )
        return self._row[name]

    def values(self, name: str, since: int = 0) -> list[str]:
        """Texts by code, from code ``since`` on. Raises NotFoundError: nothing has that attribute."""
        self.row(name)
        return self._values[name][since:]

    def text(self, name: str, code: int) -> str:
        """The text of one code. Raises NotFoundError, IndexError."""
        self.row(name)
        return self._values[name][code]

    def numbers(self, name: str) -> Floats:
        """float32 by code, NaN where the text is no number; only codes that are new are parsed.

        Raises:
            NotFoundError: nothing has that attribute.
        """
        have = self._numbers.get(name, np.zeros(0, np.float32))
        if new := self.values(name, len(have)):
            have = np.concatenate([have, np.array([as_number(text) for text in new], np.float32)])
            have.flags.writeable = False
            self._numbers[name] = have  # two threads that get here at once do the same work
        return have

    def codes(self, values: Mapping[str, str]) -> list[Write]:
        """Where and which code some texts are, of names that there are; a text that nothing had has code 0."""
        return [(self._row[n], self._codes[n].get(v, 0)) for n, v in values.items() if n in self._row]

    def write(self, name: str, value: Any) -> Write | None:
        """Where and which code a JSON value is; None if it is no category or there are too many names."""
        text = as_text(value)
        if value is not None and text is None:
            return None
        if name not in self._row:
            if len(self._row) >= self._most:
                return None
            self.restore(name, ())
        codes = self._codes[name]
        code = codes.setdefault(text or "", len(codes))
        if code == len(self._values[name]):
            self._values[name].append(text or "")
        return self._row[name], code

    def rename(self, name: str, code: int, text: str) -> None:
        """Let the text of a code, which there is, be another from now on."""
        del self._codes[name][self._values[name][code]]
        self._values[name][code] = text
        self._codes[name][text] = code
        self._numbers.pop(name, None)

    def clear(self) -> list[Write]:
        """Every attribute set to unknown."""
        return [(row, 0) for row in self._row.values()]

    def restore(self, name: str, values: Iterable[str]) -> None:
        """Add a name, which is new, with the texts of its codes from 1 on."""
        self._row[name], self._values[name] = len(self._row), ["", *values]
        self._codes[name] = {text: code for code, text in enumerate(self._values[name])}


def as_number(text: str) -> float:
    """A finite float32, or NaN."""
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan
    return number if abs(number) <= LARGEST else math.nan


def as_text(value: Any) -> str | None:
    """Text, number or bool as text (3.0 and 3 are the same, as in JSON); None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | float) else None
