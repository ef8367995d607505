"""What docs/channels.md says of channels is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from feedmill.core.config import convert
from feedmill.retrieval import CHANNELS

PAGE = (Path(__file__).parents[2] / "docs" / "channels.md").read_text("utf-8")
EXAMPLES = re.findall(r"^    \[retrieval\.channels\.[a-z_]+\]\n(?:    .+\n)+", PAGE, re.MULTILINE)


def test_every_channel_is_in_the_table_and_has_a_paragraph() -> None:
    kinds, paragraphs = (
        re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE),
        re.findall(r"^\*\*(\w+)\*\*", PAGE, re.MULTILINE),
    )
    assert set(CHANNELS) <= set(kinds)
    assert sorted(kinds) == sorted(paragraphs)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_configs(example: str) -> None:
    for kind, block in tomllib.loads(re.sub("^    ", "", example, flags=re.MULTILINE))["retrieval"]["channels"].items():
        assert convert({k: v for k, v in block.items() if k not in ("limit", "reserve")}, CHANNELS[kind].Config)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7
