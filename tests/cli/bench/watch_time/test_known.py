from __future__ import annotations

import numpy as np
import pytest

from feedmill.cli.bench.watch_time.known import (
    CLICKED,
    DURATION_S,
    LEFT_S,
    ON_THE_WAY_S,
    PATIENCE,
    SPEC,
    cells,
    chances,
    clicks,
    drawn,
    known,
    means,
)  # fmt: skip
from feedmill.features import FeatureBatch


def test_chances_are_those_of_the_lengths_for_the_middle_type_and_move_with_patience() -> None:
    of = chances()
    assert of.shape == (len(PATIENCE), len(DURATION_S), 4)
    assert of.sum(axis=-1) == pytest.approx(1)
    assert of[2, 0] == pytest.approx([0.18, 0.36, 0.22, 0.24])
    assert (np.diff(of[:, :, 0], axis=0) < 0).all()  # the patient leave less
    assert (np.diff(of[:, :, 1], axis=0) > 0).all()
    assert (np.diff(means(), axis=0) > 0).all()


def test_means_are_the_sum_of_the_stories_by_hand() -> None:
    d = DURATION_S[0]
    by_hand = 0.18 * LEFT_S + 0.36 * d + 0.22 * 2 * d + 0.24 * ON_THE_WAY_S[0]
    assert means()[2, 0] == pytest.approx(by_hand)


def test_draws_have_the_known_means_cell_by_cell_and_the_stories() -> None:
    seconds, duration = cells(n_draws=4000)
    assert (seconds.mean(axis=1) / means().ravel()) == pytest.approx(1, abs=0.01)
    assert np.array_equal(duration[:10], DURATION_S)
    assert (seconds >= 0).all()
    share = seconds[20] / duration[20]  # the middle type, shortest videos
    assert np.mean((share > 0.97) & (share < 1.03)) == pytest.approx(0.36 + 0.22 * 0.03 + 0.24 * 0.05, abs=0.03)
    assert np.mean(share > 1.03) == pytest.approx(0.22 + 0.24 * 0.22, abs=0.04)


def test_rows_of_a_type_are_as_if_drawn_apart() -> None:
    types = np.zeros(2000, np.int64)
    t = drawn(types, types, 0, "test")
    assert abs(np.corrcoef(t[1:], t[:-1])[0, 1]) < 0.06  # their order tells nothing
    assert not np.array_equal(t, drawn(types, types, 1, "test"))


@pytest.mark.parametrize("make", [known, clicks])
def test_the_task_is_whole_and_the_same_again(make: type[object]) -> None:
    task, again = make(True), make(True)  # type: ignore[call-arg]
    assert task.split == again.split
    for part, same, n in zip(task[3:], again[3:], (9600, 1200, 1200), strict=True):
        assert len(part) == n
        assert np.array_equal(part.seconds, same.seconds)
        batch: FeatureBatch = part.batch
        assert batch.user_ids.max() < SPEC.n_rows
        assert batch.item_ids.min() > len(PATIENCE)  # another table than the users'
        assert batch.user_numeric.shape[1] == SPEC.n_numbers("user", 16)
        assert batch.item_numeric.shape[1] == SPEC.n_numbers("item", 16)
        assert part.samples.heads == ("watch_s",)
        assert part.samples.mask.all()
    assert task.train.seconds.mean() == pytest.approx(task.train.true_mean.mean(), rel=0.01 if make is known else 0.1)


def test_videos_are_clicked_by_type() -> None:
    task = clicks(True)
    type_of = task.train.batch.user_ids[:, 0] - 1
    share = [float((task.train.seconds[type_of == k] > 0).mean()) for k in range(len(PATIENCE))]
    assert share == pytest.approx(CLICKED, abs=0.04)
