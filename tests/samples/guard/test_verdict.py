import logging
from pathlib import Path

import msgspec
import pytest

from feedmill.core.clock import FixedClock
from feedmill.core.errors import ArtifactError
from feedmill.core.workspace import Workspace
from feedmill.samples.guard import Stretch, Verdict, verdict_of
from feedmill.samples.guard.by_hand import Order, event, orders
from feedmill.samples.guard.verdict import moment, tell, told

OPEN = Verdict(70, 600_000, True, [Stretch(60_000, 0, ["click: 0 where 0.1 is usual"])], 0, {"click": 0.1})


def test_what_is_told_is_what_is_read_and_only_news_are_an_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    at = Workspace(tmp_path, {})
    (tmp_path / "samples").mkdir()
    with caplog.at_level(logging.WARNING, "feedmill.guard"):
        tell(tmp_path, OPEN, None, FixedClock(5))
        later = msgspec.structs.replace(OPEN, judged_ms=660_000)
        tell(tmp_path, later, OPEN, FixedClock(6))
    assert verdict_of(at) == later
    (record,) = caplog.records
    assert record.getMessage() == ("stops learning: 1970-01-01T00:01:00Z to now, by guard: click: 0 where 0.1 is usual")
    status = msgspec.json.decode((tmp_path / "status" / "guard.json").read_bytes())
    assert (status["part"], status["state"], status["time_ms"], status["offset"]) == ("guard", "open", 6, 70)
    assert status["figures"] == {"judged_ms": 660_000, "stretches": 1, "click": 0.1}
    assert not list(tmp_path.rglob("*.new"))


def test_nobody_looked_or_the_file_is_damaged(tmp_path: Path) -> None:
    at = Workspace(tmp_path, {})
    assert verdict_of(at) is None
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / ".lock").touch()  # of who forgets people, where nobody joins
    assert verdict_of(at) is None
    (tmp_path / "samples" / "guard.json").write_text('{"offset": 1}')
    with pytest.raises(ArtifactError, match=r"guard\.json"):
        verdict_of(at)


@pytest.mark.parametrize("left", ["joined.json", "checkpoints", "day=2026-11-22"])
def test_a_file_that_is_gone_from_beside_samples_is_refused(tmp_path: Path, left: str) -> None:
    """Without a word, all that was in quarantine would be learned from."""
    tell(tmp_path, OPEN, None, FixedClock(5))
    (tmp_path / "samples" / "guard.json").unlink()
    assert told(tmp_path) is None
    assert verdict_of(Workspace(tmp_path, {})) is None, "no joiner has run"
    (tmp_path / "samples" / left).mkdir()
    with pytest.raises(ArtifactError) as e:
        verdict_of(Workspace(tmp_path, {}))
    assert "guard.json is gone" in e.value.given
    assert "what the guard wrote" in e.value.expected
    assert "feedmill join" in e.value.fix


def test_times_of_any_size_have_words() -> None:
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert moment(10**18) == f"{10**18} ms"


def test_an_order_is_an_event() -> None:
    order = Order("quarantine", "ann", "load test", 5, 9)
    assert list(orders(event(order, 3))) == [(0, order)]
    assert event(order, 3).numpy("time_ms").tolist() == [3]
