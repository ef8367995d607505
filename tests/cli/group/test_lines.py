from __future__ import annotations

import io
import json

from feedmill.cli.group.lines import Lines, level_of
from feedmill.core.clock import FixedClock


def test_a_line_says_when_how_bad_who_and_what() -> None:
    text, objects = io.StringIO(), io.StringIO()
    clock = FixedClock(1_700_000_000_123)
    for stream, as_json in ((text, False), (objects, True)):
        Lines(as_json, stream, clock).say("join", "warning", "no room\n  do: free some\n\n")
    assert text.getvalue() == "2023-11-14T22:13:20.123Z  warning  join         no room; do: free some\n"
    assert json.loads(objects.getvalue()) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "warning",
        "part": "join",
        "message": "no room; do: free some",
    }


def test_the_level_of_a_line_is_its_first_word_or_its_object_s() -> None:
    assert level_of("4,000 rows") == ("info", "4,000 rows")
    assert level_of("WARNING: follow: LogError")[0] == "warning"
    assert level_of("note: a checkpoint was damaged")[0] == "warning"
    assert level_of("Traceback (most recent call last):")[0] == "error"
    assert level_of('  File "x.py", line 3', "error")[0] == "error", "indented: it goes on"
    assert level_of("ValueError: 3", "error")[0] == "info"
    assert level_of('{"level":"warning","message":"late","error":"LogError: full"}') == (
        "warning",
        "late: LogError: full",
    )
    assert level_of('{"some": "object"}') == ("info", '{"some": "object"}')
