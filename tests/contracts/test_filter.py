"""Every registered filter against the suite."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import filter as suite
from feedmill.core.protocols import Filter
from feedmill.serve.filters import FILTERS
from feedmill.state import State


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("kind", list(FILTERS))
def test_filter(kind: str, check: Any) -> None:
    def make(state: State) -> Filter:
        cls: Any = FILTERS[kind]
        made: Filter = cls(cls.Config(), state)
        return made

    check(make)
