"""Real logs as tasks: who is in which part, what a row knows, and which folders are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from contracts.test_dataset import kuairand
from feedmill.cli.bench.retrieval.tasks import whole
from feedmill.cli.bench.watch_time.task import Split, Task
from feedmill.cli.bench.watch_time.tasks import By, found, of_log, parts_of, tasks
from feedmill.core.batches import ProbeBatch, SampleBatch
from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch
from feedmill.datasets.kuairec import KuaiRec
from feedmill.datasets.segmm import SegMM
from feedmill.features.spec import POWERS

N, N_USERS, N_ITEMS = 600, 8, 60
DAY_MS = 86_400_000


def table(days: float = 2.0, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    lasts = random.integers(5_000, 60_000, N_ITEMS)
    item = random.integers(0, N_ITEMS, N)
    of = {
        "user_id": random.integers(0, N_USERS, N),
        "video_id": item,
        "time_ms": 1_600_000_000_000 + np.sort(random.integers(0, int(days * 86_400), N)) * 1000,
        "duration_ms": lasts[item],
        "playing_time": random.integers(0, 30_000, N),
    }
    return pl.DataFrame(of)


def log(folder: Path, frame: pl.DataFrame) -> EventBatch:
    frame.write_csv(folder / "SegMM_inter_x.csv")
    return whole(SegMM(folder))


def parts(task: Task) -> tuple[Split, Split, Split]:
    return task.train, task.validation, task.test


def times(part: Split) -> np.ndarray:
    return part.samples.probe.time_ms[part.samples.probe.request_of]


def test_parts_follow_each_other_and_hold_every_row_once(tmp_path: Path) -> None:
    frame = table()
    task = of_log("segmm", log(tmp_path, frame))
    assert sum(len(part) for part in parts(task)) == N
    assert [round(len(part) / N, 1) for part in parts(task)] == [0.8, 0.1, 0.1]
    train, validation, test = (times(part) for part in parts(task))
    assert train.max() < validation.min() <= validation.max() < test.min()
    seconds = np.sort(np.concatenate([part.seconds for part in parts(task)]))
    np.testing.assert_allclose(seconds, np.sort(frame["playing_time"].to_numpy() / 1000), atol=1e-4)
    assert "600 impressions" in task.split
    assert task.split == of_log("segmm", log(tmp_path, frame)).split
    assert task.split != of_log("segmm", log(tmp_path, table(seed=1))).split


def test_each_users_own_time_has_every_user_in_every_part(tmp_path: Path) -> None:
    task = of_log("segmm", log(tmp_path, table()), by="user")
    for user in range(1, N_USERS + 1):
        train, validation, test = (times(part)[part.user == user] for part in parts(task))
        assert train.max() < validation.min() <= validation.max() < test.min()
    assert "each user's time" in task.split


@pytest.mark.parametrize("by", ["time", "user"])
def test_no_moment_is_cut_in_two(by: By) -> None:
    random = np.random.default_rng(3)
    n = 200
    user = random.integers(0, 4, n).astype(np.int32)
    probe = ProbeBatch(user, random.integers(0, 30, n), np.arange(n), user, np.arange(n, dtype=np.int32))
    one = np.ones((n, 1), np.float32)
    part = parts_of(SampleBatch(probe, one, one > 0, one[:, 0], ("watch_s",)), by)
    for who in range(4) if by == "user" else (slice(None),):
        mine = user == who if by == "user" else np.ones(n, bool)
        order = np.argsort(probe.time_ms[mine], kind="stable")
        t, p = probe.time_ms[mine][order], part[mine][order]
        assert (np.diff(p) >= 0).all()
        assert all(len(set(p[t == moment])) == 1 for moment in np.unique(t))
        earlier = np.searchsorted(t, t) / len(t)
        np.testing.assert_array_equal(p, (earlier >= 0.8).astype(int) + (earlier >= 0.9))


def test_features_know_nothing_of_what_comes_later(tmp_path: Path) -> None:
    frame = table()
    later = frame["time_ms"].to_numpy() >= int(np.sort(frame["time_ms"].to_numpy())[int(0.9 * N)])
    random = np.random.default_rng(4)
    changed = frame.with_columns(
        playing_time=pl.when(pl.Series(later)).then(pl.Series(random.permutation(N) * 40)).otherwise("playing_time")
    )
    one, two = (of_log("segmm", log(tmp_path, f)) for f in (frame, changed))
    assert not np.array_equal(one.test.seconds, two.test.seconds)
    assert one.spec == two.spec
    for a, b in zip(parts(one)[:2], parts(two)[:2], strict=True):
        for column in ("user_ids", "user_numeric", "item_ids", "item_numeric"):
            np.testing.assert_array_equal(getattr(a.batch, column), getattr(b.batch, column))


def test_a_row_knows_how_long_its_user_has_watched_before(tmp_path: Path) -> None:
    """Seconds watched and impressions of the user so far, by hand: the number is monotone in them."""
    frame = table().with_columns(playing_time=pl.lit(100))  # every watch is over before the next impression
    task = of_log("segmm", log(tmp_path, frame))
    at = [n.source for n in task.spec.numeric("user")].index("user.watch.all")
    train, order = task.train, np.argsort(times(task.train), kind="stable")
    value = train.batch.user_numeric[order, at]
    user = train.user[order]
    before = np.array([(user[:i] == user[i]).sum() for i in range(len(user))])
    by = np.argsort(before, kind="stable")
    rises = np.diff(value[by]) >= -1e-6
    same_moment = 0.02  # two impressions of one user within the second
    assert rises.mean() > 1 - same_moment
    assert train.batch.user_numeric.shape[1] == POWERS * len(task.spec.numeric("user"))


def test_hours_are_read_of_a_log_that_is_long_enough(tmp_path: Path) -> None:
    short, long = (of_log("segmm", log(tmp_path, table(days))) for days in (2.0, 20.0))
    assert not {"hour", "weekday"} & set(short.spec.tables)
    assert {"hour", "weekday"} <= set(long.spec.tables)


def test_of_a_large_log_the_newest_rows(tmp_path: Path) -> None:
    events = log(tmp_path, table())
    whole_log, newest = of_log("segmm", events), of_log("segmm", events, most_events=600, most_rows=100)
    assert sum(len(part) for part in parts(newest)) == 100
    np.testing.assert_array_equal(np.sort(times(newest.test)), np.sort(times(whole_log.test))[-10:])


def test_a_log_that_is_too_small_says_so(tmp_path: Path) -> None:
    frame = table()
    with pytest.raises(DataError, match="too few to split"):
        of_log("segmm", log(tmp_path, frame.with_columns(time_ms=pl.lit(1_600_000_000_000))))
    with pytest.raises(DataError, match="no seconds watched"):
        of_log("segmm", log(tmp_path, frame.with_columns(playing_time=pl.lit(0))))


def test_folders_are_found_by_their_files(tmp_path: Path) -> None:
    assert found(tmp_path / "none", "*.csv") is None
    (tmp_path / "a" / "data").mkdir(parents=True)
    assert found(tmp_path, "log_*.csv") is None
    (tmp_path / "a" / "data" / "log_1.csv").touch()
    assert found(tmp_path, "log_*.csv") == tmp_path / "a"
    (tmp_path / "log_2.csv").touch()
    assert found(tmp_path, "log_*.csv") == tmp_path


def test_tasks_are_those_that_there_are_files_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("videos", "rec"):
        (tmp_path / name).mkdir()
    frame = table()
    frame.write_csv(tmp_path / "videos" / "SegMM_inter_x.csv")
    frame.select(
        "user_id",
        "video_id",
        pl.col("playing_time").alias("play_duration"),
        pl.col("duration_ms").alias("video_duration"),
        (pl.col("time_ms") / 1000).alias("timestamp"),
    ).write_csv(tmp_path / "rec" / "big_matrix.csv")
    assert [task.name for task in tasks(tmp_path, True)] == ["known", "segmm", "kuairec"]
    assert "kuairand: no log_standard_*.csv" in " ".join(capsys.readouterr().err.split())
    (rec,) = tasks(tmp_path, True, ("kuairec",))
    assert sum(len(part) for part in parts(rec)) == N
    assert sorted(np.concatenate([p.seconds for p in parts(rec)])) == pytest.approx(
        sorted(frame["playing_time"].to_numpy() / 1000), abs=1e-4
    )
    assert len(KuaiRec(tmp_path / "rec").users()) == 0
    with pytest.raises(DataError, match="no folder"):
        list(tasks(tmp_path / "none", True, ("segmm",)))


def test_a_video_that_did_not_play_is_zero_seconds(tmp_path: Path) -> None:
    kuairand(tmp_path)
    path = tmp_path / "data" / "log_standard_4_22_to_5_08_pure.csv"
    header, played, *_ = path.read_text().splitlines()
    rows = [played.replace("1650582000000", str(1650582000000 + 60_000 * k)) for k in range(30)]
    idle = [row.replace(",1,1,1,1,1,0,1,19000,", ",0,0,0,0,0,0,0,0,").replace("0,11,", "0,12,", 1) for row in rows[::3]]
    path.write_text("\n".join([header, *rows, *idle]))
    (task,) = tasks(tmp_path, True, ("kuairand",))
    seconds = np.concatenate([part.seconds for part in parts(task)])
    assert sum(seconds == 0) == len(idle)
    assert sum(np.isclose(seconds, 19)) == len(rows)


@pytest.mark.data
def test_the_published_sample_splits_as_stated(shared_data: Path) -> None:
    if not (shared_data / "segmm_sample").is_dir():
        pytest.skip("no SegMM sample in the data folder")
    (task,) = tasks(shared_data, False, ("segmm",))
    assert [len(part) for part in parts(task)] == [8_061, 994, 945]
    assert task.split.startswith("1c0e347f0b64")
    assert [len(np.unique(part.user)) for part in parts(task)] == [37, 35, 36]
    assert not np.isnan(np.concatenate([part.duration for part in parts(task)])).any()


@pytest.mark.data
def test_by_the_logs_time_the_newest_tenth_of_the_sample_is_watched_longer(shared_data: Path) -> None:
    """Why the sample is split by each user's time: else the newest tenth has 28 % more seconds than the oldest 80 %."""
    if not (shared_data / "segmm_sample").is_dir():
        pytest.skip("no SegMM sample in the data folder")
    events = whole(SegMM(shared_data / "segmm_sample"))
    stated: dict[By, list[float]] = {"time": [18.13, 20.09, 23.13], "user": [18.64, 19.54, 19.70]}
    for by, means in stated.items():
        found_means = [float(part.seconds.mean(dtype=np.float64)) for part in parts(of_log("segmm", events, by))]
        assert found_means == pytest.approx(means, abs=0.01)
