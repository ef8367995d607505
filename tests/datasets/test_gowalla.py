from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.datasets.gowalla import FIRST_MS, STEP_MS, Gowalla

TRAIN, TEST = "0 0 1 2\n1 1 3\n2 0 4\n", "0 3\n2 1 2\n"


def written(folder: Path, train: str = TRAIN, test: str = TEST) -> Path:
    (folder / "train.txt").write_text(train)
    (folder / "test.txt").write_text(test)
    return folder


def pairs(events: EventBatch) -> set[tuple[str, str]]:
    return set(zip(events.numpy("user_id").tolist(), events.numpy("item_id").tolist(), strict=True))


def test_training_pairs_are_clicks_and_test_pairs_are_not_events(tmp_path: Path) -> None:
    data = Gowalla(written(tmp_path))
    events = EventBatch.concat(data.events())
    assert (events.numpy("kind") == Kind.CLICK).all()
    assert pairs(events) == {("0", "0"), ("0", "1"), ("0", "2"), ("1", "1"), ("1", "3"), ("2", "0"), ("2", "4")}
    assert [x.tolist() for x in data.test()] == [[0, 2, 2], [3, 1, 2]]
    assert not data.is_published


def test_each_users_items_come_a_minute_apart_from_the_same_start(tmp_path: Path) -> None:
    events = EventBatch.concat(Gowalla(written(tmp_path)).events())
    of_0 = events.numpy("time_ms")[events.numpy("user_id") == "0"]
    assert of_0.tolist() == [FIRST_MS, FIRST_MS + STEP_MS, FIRST_MS + 2 * STEP_MS]


def test_the_order_in_the_file_does_not_show_in_the_times(tmp_path: Path) -> None:
    train = "".join(f"{u} " + " ".join(map(str, range(50))) + "\n" for u in range(40))
    events = EventBatch.concat(Gowalla(written(tmp_path, train)).events())
    rank = np.corrcoef(events.numpy("time_ms"), events.numpy("item_id").astype(np.int64))[0, 1]
    assert abs(rank) < 0.1


def test_gzipped_lines_are_the_same_data(tmp_path: Path) -> None:
    plain = Gowalla(written(tmp_path))
    (tmp_path / "gz").mkdir()
    for name in ("train.txt", "test.txt"):
        (tmp_path / "gz" / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    zipped = Gowalla(tmp_path / "gz")
    assert EventBatch.concat(zipped.events()).table.equals(EventBatch.concat(plain.events()).table)


@pytest.mark.parametrize(
    ("train", "says"), [("", "no pairs"), ("0\n1\n", "no pairs"), ("0 -1\n", "below 0"), ("0 one\n", "one")]
)
def test_files_that_are_something_else_are_refused(tmp_path: Path, train: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        Gowalla(written(tmp_path, train))


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without a folder"):
        Gowalla()
    with pytest.raises(DataError, match="no file"):
        Gowalla(tmp_path)
    (tmp_path / "train.txt.gz").write_bytes(gzip.compress(TRAIN.encode())[:-9])
    (tmp_path / "test.txt").write_text(TEST)
    with pytest.raises(DataError, match="cannot be read"):
        Gowalla(tmp_path)


@pytest.mark.slow
@pytest.mark.data
def test_the_shared_files_are_the_published_split(shared_data: Path) -> None:
    folder = shared_data / "gowalla_lightgcn"
    if not folder.is_dir():
        pytest.skip("no Gowalla in the data folder")
    data = Gowalla(folder)
    assert data.is_published
    user, item = data.train()
    test_user, test_item = data.test()
    assert (len(user), len(test_user)) == (810_128, 217_242)
    assert len(np.unique(user)) == 29_858
    assert set(test_item.tolist()) <= set(item.tolist())
    assert len(np.unique(item)) == 40_981
    assert not set(zip(user.tolist(), item.tolist(), strict=True)) & set(
        zip(test_user.tolist(), test_item.tolist(), strict=True)
    )
