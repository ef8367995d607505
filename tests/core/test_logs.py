"""Log lines for machines."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from feedmill.core.errors import LogError
from feedmill.core.logs import configure

logger = logging.getLogger("feedmill.serve")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """JSON lines of this process, which logs as before afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    configure("json", out)
    yield out
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_an_object(stream: io.StringIO) -> None:
    logger.warning("%d feeds\nnot logged", 3)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {"level": "warning", "logger": "feedmill.serve", "message": "3 feeds\nnot logged"}


def test_the_time_is_utc_to_the_millisecond(stream: io.StringIO) -> None:
    logger.error("now")
    time = lines(stream)[0]["time"]
    assert len(time) == len("2026-01-01T00:00:00.000Z")
    assert abs(datetime.fromisoformat(time).timestamp() - datetime.now().timestamp()) < 60


def test_a_request_and_an_error_are_named_and_no_values_are_told(stream: io.StringIO) -> None:
    password = "hunter" + str(2)
    try:
        raise LogError("the disk is full", f"room for {len(password)} bytes")
    except LogError as error:
        logger.warning("rank failed", exc_info=error, extra={"request_id": "r-1"})
    (line,) = lines(stream)
    assert line["request_id"] == "r-1"
    assert line["error"].startswith("LogError: the disk is full")
    assert "test_a_request_and_an_error" in line["at"][-1]
    assert password not in stream.getvalue()


def test_a_message_has_an_end(stream: io.StringIO) -> None:
    logger.error("x" * 100_000)
    assert len(lines(stream)[0]["message"]) == 2_000


def test_warnings_of_libraries_are_lines_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert lines(stream)[0]["logger"] == "py.warnings"


def test_what_is_not_worth_a_line(stream: io.StringIO) -> None:
    logger.info("a request was answered")
    assert lines(stream) == []


def test_text_leaves_everything_as_it_is() -> None:
    before = logging.getLogger().handlers[:]
    configure("text")
    assert logging.getLogger().handlers == before
