"""What docs/simulate.md shows can be run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from feedmill.sim.diary import Diary

DOC = Path(__file__).resolve().parents[3] / "docs" / "simulate.md"


def test_the_policy_of_the_page_lives_with_an_audience(capsys: Any) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(DOC), "exec"), names)
    assert isinstance(names["short"], Diary)
    assert re.match(r"\d\.\d{4} \[", capsys.readouterr().out)
