"""How a long-running command logs: lines for people, or a JSON object a line for what collects logs. To stderr.

Messages name requests, stages and errors. They never hold events, contexts or the bodies of requests: a log is read by
more people than the workspace is.
"""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec

LogKind = Literal["text", "json"]
_MOST = 2_000  # characters of a message or an error
_MOST_FRAMES = 30


class JsonLines(logging.Formatter):
    """time (UTC), level, logger, message; ``request_id`` where the record has one (``extra={"request_id": …}``);
    ``error`` and ``at``, its places in the code, where there is one. Never the values of variables."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_MOST],
        }
        if request_id := getattr(record, "request_id", ""):
            line["request_id"] = str(request_id)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = f"{type(error).__name__}: {error}"[:_MOST]
            frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
            line["at"] = [f"{f.filename}:{f.lineno} {f.name}" for f in frames]
        return msgspec.json.encode(line).decode()


def configure(kind: LogKind, stream: TextIO | None = None) -> None:
    """Choose the form of every log line of this process, warnings of libraries included.

    Args:
        kind: "text" leaves logging as Python has it: warnings and worse, on stderr.
        stream: instead of stderr.
    """
    if kind == "text":
        return
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
