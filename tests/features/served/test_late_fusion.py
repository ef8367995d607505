import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feedmill.features.served.late_fusion import alone, meet
from feedmill.features.spec import FeatureSpec, Numeric


@given(st.integers(0, 20), st.integers(0, 6), st.integers(0, 6), st.integers(0, 99))
def test_meeting_is_the_formula(n: int, k: int, j: int, seed: int) -> None:
    """sigmoid(w · relu(u_h + i_h) + u_d · i_d + u_0 + i_0)."""
    random = np.random.default_rng(seed)
    items, user = random.normal(size=(n, k + j + 1)).astype("f"), random.normal(size=k + j + 1).astype("f")
    out = random.normal(size=k).astype("f")
    z = np.maximum(user[:k] + items[:, :k], 0) @ out + items[:, k:-1] @ user[k:-1] + user[-1] + items[:, -1]
    np.testing.assert_allclose(meet(items, user, out), 1 / (1 + np.exp(-z)), rtol=1e-4, atol=1e-6)


def test_only_numbers_that_need_no_user_are_read() -> None:
    sources = [
        "item.click.1d",
        "cross.age_s",
        "cross.shown_item",
        "rate.author.like.all/click.all",
        "user_topic.click.1d",
    ]
    numerics = (Numeric("user.click.1d", "user"), *(Numeric(s, "item") for s in sources))
    spec = FeatureSpec((), numerics, {}, 8, 20.0, "")
    assert alone(spec) == [0, 1, 3, 5, 6, 8, 10, 11, 13]
