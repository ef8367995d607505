"""Rows of views -> impressions and what came of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.views import BATCH_ROWS, ViewColumns, Views, day_ms, files_of, texts_of

COLUMNS = ViewColumns("at", "played", "lasts", "u", "v", flags={"like": Kind.LIKE, "hate": Kind.DISLIKE})
AT = 1_600_000_000_000


def views(folder: Path, *rows: str, columns: ViewColumns = COLUMNS, start_ms: int = 0) -> Views:
    path = folder / "log.csv"
    path.write_text("\n".join(["u,v,at,played,lasts,like,hate", *rows]))
    return Views([path], columns, start_ms)


def told(found: Views) -> list[tuple[int, str, str, Kind, float]]:
    events = EventBatch.concat(found.events("s"))
    columns = [events.numpy(c).tolist() for c in ("time_ms", "user_id", "item_id", "kind", "value")]
    return [(t - AT, u, v, Kind(k), x) for t, u, v, k, x in zip(*columns, strict=True)]


def test_feedback_comes_when_the_playing_ends(tmp_path: Path) -> None:
    found = views(tmp_path, f"2,8,{AT},2500,2000,1,0", f"1,9,{AT + 1000},500,4000,0,0")
    assert told(found) == [
        (0, "2", "8", Kind.IMPRESSION, 1.0),
        (1000, "1", "9", Kind.IMPRESSION, 1.0),
        (1500, "1", "9", Kind.WATCH, 0.5),
        (2500, "2", "8", Kind.LIKE, 1.0),
        (2500, "2", "8", Kind.WATCH, 2.5),
        (2500, "2", "8", Kind.FINISH, 1.0),
    ]


def test_what_did_not_play_is_no_watch_unless_there_was_feedback(tmp_path: Path) -> None:
    found = views(tmp_path, f"1,7,{AT},0,2000,0,0", f"1,8,{AT},0,2000,1,0", f"1,9,{AT},0,2000,0,1")
    assert [(v, kind, x) for _, _, v, kind, x in told(found) if kind != Kind.IMPRESSION] == [
        ("8", Kind.LIKE, 1.0),
        ("8", Kind.WATCH, 0.0),
        ("9", Kind.DISLIKE, 1.0),
    ]


def test_a_video_of_unknown_length_is_never_finished(tmp_path: Path) -> None:
    found = views(tmp_path, f"1,7,{AT},5000,,0,0", f"1,8,{AT},5000,0,0,0", f"1,9,{AT},5000,5000,0,0")
    assert [v for _, _, v, kind, _ in told(found) if kind == Kind.FINISH] == ["9"]
    assert {k: v for k, v in found.durations().items() if v == v} == {9: 5.0}
    assert list(found.durations()) == [7, 8, 9]


def test_of_several_durations_the_first_that_is_known_counts(tmp_path: Path) -> None:
    rows = (f"1,7,{AT + 2},1,3000,0,0", f"1,7,{AT + 1},1,2000,0,0", f"1,7,{AT},1,0,0,0")
    assert views(tmp_path, *rows).durations() == {7: 2.0}


def test_rows_of_one_user_and_time_are_one_request(tmp_path: Path) -> None:
    found = views(tmp_path, f"1,7,{AT},9,,0,0", f"1,8,{AT},9,,0,0", f"2,7,{AT},9,,0,0", f"1,9,{AT + 1},9,,0,0")
    requests = EventBatch.concat(found.events("s")).numpy("request_id")
    assert len(set(requests)) == 3


def test_the_order_of_a_file_does_not_matter(tmp_path: Path) -> None:
    rows = [f"{u},{v},{AT + 10 * u},{v},9,0,1" for u in range(3) for v in range(5)]
    assert told(views(tmp_path, *rows)) == told(views(tmp_path, *rows[::-1]))


def test_times_in_other_units_and_from_another_start(tmp_path: Path) -> None:
    seconds = ViewColumns("at", "played", "lasts", "u", "v", to_ms=1000.0)
    assert views(tmp_path, "1,7,1593878903.438,1,1,0,0", columns=seconds).first_ms == 1_593_878_903_438
    assert views(tmp_path, "1,7,5,1,1,0,0", start_ms=AT).first_ms == AT + 5


def test_rows_that_cannot_be_events_are_told_with_their_line(tmp_path: Path) -> None:
    rows = (",7,1,1,1,0,0", "1,x,1,1,1,0,0", "1,7,,1,1,0,0", "1,7,1,,1,0,0", "1,7,1,-3,1,0,0", "1,7,1,nan,1,0,0")
    found = views(tmp_path, "1,7,1,1,1,0,0", *rows)
    assert len(found.frame) == 1
    assert [(r.line, r.reason) for r in found.rejected] == [
        (3, "u is missing or no number"),
        (4, "v is missing or no number"),
        (5, "at is missing or no time"),
        (6, "played is missing or no number"),
        (7, "played is negative"),
        (8, "played is missing or no number"),
    ]
    assert found.rejected[1].file == "log.csv"
    assert found.rejected[1].row == '{"u":"1","v":"x","at":"1","played":"1","lasts":"1","like":"0","hate":"0"}'


def test_a_log_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    for rows, said in (((), "without rows"), (("1,7,,1,1,0,0",), "no row of the log can be an event, 1 cannot")):
        with pytest.raises(DataError, match=said):
            views(tmp_path, *rows)
    with pytest.raises(DataError, match='no column "playd"') as e:
        views(tmp_path, f"1,7,{AT},1,1,0,0", columns=ViewColumns("at", "playd", "lasts", "u", "v"))
    assert "played" in e.value.fix
    with pytest.raises(DataError, match="cannot be read"):
        views(tmp_path, f"1,7,{AT},1,1,0,0,9,9")
    with pytest.raises(DataError, match="no file"):
        Views([tmp_path / "other.csv"], COLUMNS)


def test_batches_are_of_bounded_size_and_number_their_rows(tmp_path: Path) -> None:
    n = BATCH_ROWS // 2 + 10
    path = tmp_path / "log.csv"
    random = np.random.default_rng(0)
    of = {"u": random.integers(0, 50, n), "v": random.integers(0, 90, n), "at": AT + random.integers(0, 10**6, n)}
    frame = pl.DataFrame(of | {"played": 1 + random.integers(0, 9999, n), "lasts": np.full(n, 20_000)})
    frame.write_csv(path)
    batches = list(Views([path], ViewColumns("at", "played", "lasts", "u", "v")).events("s"))
    assert [len(b) for b in batches] == [BATCH_ROWS, 20]
    assert [b.source_row for b in batches] == [0, BATCH_ROWS]
    whole = EventBatch.concat(batches)
    assert (np.diff(whole.numpy("time_ms")) >= 0).all()
    assert np.sum(whole.numpy("value")[whole.numpy("kind") == Kind.WATCH]) == pytest.approx(
        float(frame["played"].sum()) / 1000, rel=1e-4
    )


def test_texts_by_number(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,a,b\n3, x ,UNKNOWN\n1,,"p,q"\n3,y,z\nid,w,w\n')
    assert texts_of(path, "id", ["b", "a", "none"]) == {1: {"b": "p,q", "a": None}, 3: {"b": None, "a": "x"}}
    assert texts_of(path, "id", []) == {1: {}, 3: {}}
    with pytest.raises(DataError, match='no column "key"'):
        texts_of(path, "key", [])


def test_files_beside_or_in_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/b.csv", "data/a.csv"):
        (tmp_path / name).touch()
    assert [p.name for p in files_of(tmp_path, "b*.csv", "a*.csv")] == ["b.csv", "a.csv"]
    assert files_of(tmp_path, "c*.csv") == []


def test_days_begin_in_beijing() -> None:
    assert day_ms("2022-04-10") == 1_649_520_000_000  # 2022-04-09 16:00 UTC
    assert [day_ms(text) for text in (None, "", "NaN", "2022-13-01")] == [None] * 4
