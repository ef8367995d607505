"""Components by name: a table of lazy built-ins, extended by entry points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from feedmill.core.config import nearest
from feedmill.core.errors import ConfigError

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps ``kind`` to a component class, importing its module only when asked for.

    Args:
        stage: the kind of component, as users call it; entry points live in the group ``feedmill.<stage>``.
        table: ``{"itemcf": "feedmill.retrieval.itemcf:ItemCFChannel"}``.
    """

    def __init__(self, stage: str, table: Mapping[str, str]) -> None:
        self.stage = stage
        self._table = dict(table)
        self._found = False

    def __getitem__(self, kind: str) -> type[T]:
        """The class of ``kind``.

        Raises:
            ConfigError: there is no such kind; the message names the nearest.
        """
        if kind not in self._table:
            self._discover()
        if kind not in self._table:
            raise ConfigError(
                f'{self.stage}: no kind "{kind}"', f"one of {sorted(self._table)}", nearest(kind, self._table)
            )
        module, _, name = self._table[kind].partition(":")
        found: Any = getattr(import_module(module), name)
        return found  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted(self._table))

    def _discover(self) -> None:
        if not self._found:
            self._found = True
            for point in entry_points(group=f"feedmill.{self.stage}"):
                self._table.setdefault(point.name, point.value)
