"""Log lines: time, level, part, message; for people, or a JSON object a line for what collects logs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from feedmill.core.clock import Clock, WallClock

INFO, WARNING, ERROR = "info", "warning", "error"
_LEVELS = {
    "error:": ERROR,
    "critical:": ERROR,
    "traceback": ERROR,
    "warning:": WARNING,
    "note:": WARNING,
}


class Lines:
    """Where the group says what happens.

    Args:
        as_json: an object a line with the keys time, level, part, message.
    """

    def __init__(self, as_json: bool = False, stream: TextIO | None = None, clock: Clock | None = None) -> None:
        self._as_json, self._stream, self._clock = as_json, stream, clock or WallClock()

    def say(self, part: str, level: str, message: str) -> None:
        """One line; those of a message that has several are joined."""
        stream = self._stream or sys.stdout
        time = datetime.fromtimestamp(self._clock.now_ms() / 1e3, UTC).isoformat(timespec="milliseconds")
        time = time.replace("+00:00", "Z")
        message = "; ".join(filter(None, map(str.strip, message.splitlines())))
        if self._as_json:
            line = msgspec.json.encode({"time": time, "level": level, "part": part, "message": message}).decode()
        else:
            line = f"{time}  {level:<7}  {part:<11}  {message}"
        stream.write(line + "\n")
        stream.flush()


def level_of(line: str, before: str = INFO) -> tuple[str, str]:
    """(level, message) of a line that a part has written: of its first word, or of the JSON object that it is.

    Args:
        before: the level of the line before, which an indented line goes on with.
    """
    if line.startswith("{"):
        try:
            record = msgspec.json.decode(line, type=dict[str, object])
            more = f": {record['error']}" if record.get("error") else ""
            return str(record["level"]), f"{record['message']}{more}"
        except (msgspec.DecodeError, KeyError):
            return INFO, line
    if line[:1].isspace():
        return before, line
    return _LEVELS.get(line.partition(" ")[0].lower(), INFO), line
