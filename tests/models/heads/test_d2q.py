import numpy as np
import pytest
import torch

from feedmill.core.config import convert
from feedmill.core.errors import DataError
from feedmill.models.heads.d2q import D2QConfig, D2QHead
from watch_times import best_constant

EXPONENTIAL = (-20 * np.log1p(-(np.arange(4000) + 0.5) / 4000)).astype(np.float32)  # mean 20 s, median 20 ln 2
RANDOM = np.random.default_rng(0)
DURATION = RANDOM.choice([10.0, 20, 40, 80], 4000).astype(np.float32)
SECONDS = (DURATION * RANDOM.exponential(0.6, 4000)).astype(np.float32)
CONFIG = D2QConfig(n_groups=8)
HEAD = D2QHead(CONFIG, SECONDS, DURATION)


def test_rank_is_the_share_of_rows_as_long_that_were_watched_less() -> None:
    ranks = HEAD.rank(torch.from_numpy(SECONDS), torch.from_numpy(DURATION)).numpy()
    for length in (10, 20, 40, 80):
        rows = length == DURATION
        t = SECONDS[rows]
        expected = (t[:, None] > t).mean(axis=1) + 0.5 / len(t)
        assert np.abs(ranks[rows] - expected).max() < 0.01  # a step of the table
        assert ranks[rows].mean() == pytest.approx(0.5, abs=0.003)


def test_what_is_served_has_the_rank_that_was_predicted() -> None:
    """The table is read both ways by the same straight lines."""
    t, duration = torch.from_numpy(SECONDS[:500]).double(), torch.from_numpy(DURATION[:500]).double()
    head = D2QHead(CONFIG, SECONDS, DURATION).double()
    rank = head.rank(t, duration)
    inside = (rank > 0) & (rank < 1)
    served = head.predict(torch.logit(rank)[:, None], duration)
    torch.testing.assert_close(served[inside], t[inside], rtol=1e-4, atol=1e-4)


def test_equal_labels_share_their_mean_rank() -> None:
    """Three of ten rows at 0 s: ranks 0 to 0.3 of the distribution, 0.15 on average."""
    seconds = np.array([0, 0, 0, 1, 2, 3, 4, 5, 6, 7] * 30, np.float32)
    head = D2QHead(D2QConfig(n_groups=1), seconds, np.full(300, 9, np.float32))
    ranks = head.rank(torch.tensor([0.0, 7.0, 100.0]), torch.full((3,), 9.0))
    assert ranks[0].item() == pytest.approx(0.15, abs=0.01)
    assert ranks[1].item() > 0.9
    assert ranks[2].item() == 1.0


def test_the_same_logit_serves_the_same_quantile_of_each_duration() -> None:
    served = HEAD.predict(torch.zeros(4, 1), torch.tensor([10.0, 20, 40, 80]))
    medians = [np.median(SECONDS[length == DURATION]) for length in (10, 20, 40, 80)]
    assert served.tolist() == pytest.approx(medians, rel=1e-4)


@pytest.mark.parametrize("error", ["squared", "cross_entropy"])
def test_the_best_constant_is_the_median_of_the_group(error: str) -> None:
    length = np.full(len(EXPONENTIAL), 30, np.float32)
    head = D2QHead(convert({"error": error, "n_groups": 1}, D2QConfig), EXPONENTIAL, length)
    assert best_constant(head, EXPONENTIAL, length) / 20 == pytest.approx(np.log(2), rel=2e-3)


def test_the_factor_makes_the_best_constant_the_mean_of_the_group() -> None:
    head = D2QHead(D2QConfig(n_groups=8, repair="duration"), SECONDS, DURATION)
    served = head.predict(torch.zeros(4, 1), torch.tensor([10.0, 20, 40, 80]))
    means = [SECONDS[length == DURATION].mean() for length in (10, 20, 40, 80)]
    assert served.tolist() == pytest.approx(means, rel=0.02)


def test_a_learned_factor_makes_it_the_mean_of_whatever_rows() -> None:
    """Also of a third of the group with longer watch times than it, where the group's own factor is wrong."""
    length = np.full(len(EXPONENTIAL), 30, np.float32)
    head = D2QHead(D2QConfig(n_groups=1, repair="learned"), EXPONENTIAL, length)
    rows = EXPONENTIAL[::3] + 15
    assert best_constant(head, rows, length[::3]) == pytest.approx(rows.mean(), rel=1e-3)


def test_the_mean_rank_and_not_the_rank_of_the_mean() -> None:
    """A quarter of the rows at rank 1 and the rest at 0: p = 1/4."""
    head = D2QHead(D2QConfig(n_groups=1), SECONDS, DURATION).double()
    t = torch.tensor([1e6, 0, 0, 0], dtype=torch.float64)
    z = torch.tensor([[np.log(1 / 3)]], requires_grad=True)
    head.loss(z.expand(4, 1), t, torch.full((4,), 10.0, dtype=torch.float64)).sum().backward()
    assert z.grad is not None
    assert z.grad.item() == pytest.approx(0, abs=1e-3)


def test_groups_merge_where_durations_coincide() -> None:
    one = D2QHead(D2QConfig(n_groups=50), SECONDS, np.full(4000, 15, np.float32))
    assert one.table.shape == (1, 101)
    few = D2QHead(D2QConfig(n_groups=1000), SECONDS[:5], np.array([1, 2, 3, 4, 5], np.float32))
    assert few.table.shape[0] <= 2
    torch.testing.assert_close(few.table.diff(dim=1).clamp(min=0), few.table.diff(dim=1))


def test_an_unknown_duration_counts_as_the_median_one() -> None:
    known, unknown = HEAD.predict(torch.zeros(2, 1), torch.tensor([float(np.median(DURATION)), np.nan])).tolist()
    assert known == unknown


def test_no_known_duration_or_one_distinct_label_is_refused() -> None:
    with pytest.raises(DataError, match="no duration is known"):
        D2QHead(CONFIG, SECONDS, np.full(4000, np.nan, np.float32))
    with pytest.raises(DataError, match="all 3 watch times"):
        D2QHead(CONFIG, np.full(3, 5, np.float32), DURATION[:3])
    with pytest.raises(DataError, match="1 watch times for 2"):
        D2QHead(CONFIG, SECONDS[:1], DURATION[:1])
