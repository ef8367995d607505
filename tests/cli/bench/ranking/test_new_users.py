import numpy as np

from feedmill.cli.bench.ranking.new_users import CANDIDATES, N_ACTIVITY, N_ITEM_NUMBERS, NEW_SHARE, SPEC, World


def test_new_users_have_no_rows_of_their_own_and_little_activity() -> None:
    drawn = World(0).draw(500, 0.3, 0, "test")
    new = drawn.is_new[::CANDIDATES]
    assert 0.2 < new.mean() < 0.4
    assert not drawn.batch.user_ids[new].any()
    assert drawn.batch.user_ids[~new].all()
    assert drawn.batch.item_ids.all()
    assert drawn.batch.user_ids.max() < SPEC.n_rows
    assert drawn.batch.item_ids.max() < SPEC.n_rows
    activity = drawn.batch.user_numeric[:, :N_ACTIVITY]
    assert np.median(activity[new]) < NEW_SHARE
    assert np.median(activity[~new]) > 0.3
    assert drawn.batch.user_numeric.shape[1] == SPEC.n_numbers("user", 16)
    assert drawn.batch.item_numeric.shape[1] == 3 * N_ITEM_NUMBERS


def test_ids_lie_in_their_own_tables() -> None:
    world = World(0)
    drawn = world.draw(50, 0.0, 0, "test")
    offset = SPEC.offsets()
    item = drawn.batch.item_ids[:, 0] - offset["item"] - 1
    assert np.array_equal(drawn.batch.item_ids[:, 2], world.topic[item] + offset["topic"] + 1)
    history = drawn.batch.user_ids[:, 1:] - offset["item"] - 1
    user = drawn.batch.user_ids[:, 0] - 1
    liked = (world.topic[history][:, :, None] == world.favourites[user][:, None]).any(axis=2)
    assert liked.all()


def test_clicks_come_with_their_probability_and_new_users_turn_the_signs() -> None:
    world = World(0)
    drawn = world.draw(4000, 0.5, 0, "test")
    clicks, new = drawn.samples.labels[:, 0], drawn.is_new
    for rows in (new, ~new):
        assert abs(clicks[rows].mean() - drawn.true_prob[rows].mean()) < 0.02
    length = drawn.batch.item_numeric[:, 0]
    assert np.corrcoef(length[new], clicks[new])[0, 1] < -0.1
    assert np.corrcoef(length[~new], clicks[~new])[0, 1] > 0.1


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = (World(s).draw(20, 0.3, s, "test") for s in (3, 3, 4))
    assert np.array_equal(first.batch.item_ids, again.batch.item_ids)
    assert np.array_equal(first.samples.labels, again.samples.labels)
    assert not np.array_equal(first.batch.item_ids, other.batch.item_ids)
