"""A fit that goes on from another: with a rate of 0 it is that other, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs

from feedmill.core.batches import Part
from feedmill.core.errors import ArtifactError
from feedmill.features import assemble
from feedmill.models.heads.ordinal import OrdinalHead
from feedmill.train.rank.ranker import fitted
from feedmill.train.start import Start, kept
from feedmill.train.update.ranker_rows import aligned
from train.update_world import UpdateWorld


@pytest.fixture(scope="module")
def world() -> UpdateWorld:
    return UpdateWorld()


def again(world: UpdateWorld, rate: float, start: Start | None = None) -> Any:
    fitting = structs.replace(world.plan.fitting, epochs=1, learning_rate=rate)
    batch = assemble(world.spec, world.part.arrays, world.state, world.probed)
    samples = aligned(world.samples, world.part.config["heads"])
    return fitted(world.plan.chosen, fitting, world.spec, batch, samples, 7, start=start or Start.of(world.part))


def test_a_rate_of_zero_reproduces_the_model(world: UpdateWorld) -> None:
    done = again(world, 0.0)
    for name, value in world.fitted.model.state_dict().items():
        np.testing.assert_array_equal(done.model.state_dict()[name], value, err_msg=name)
    np.testing.assert_array_equal(done.embedding.table.weight.detach(), world.part.arrays["embedding"])
    assert kept(done.model, done.heads)[1] == kept(world.fitted.model, world.fitted.heads)[1]


def test_it_learns_on(world: UpdateWorld) -> None:
    done = again(world, 0.01)
    assert (done.embedding.table.weight.detach().numpy() != world.part.arrays["embedding"]).any()
    assert not done.embedding.table.weight[0].any()


def test_another_model_is_refused(world: UpdateWorld) -> None:
    start = Start.of(world.part)
    other = {k: v[:, :1] if v.ndim == 2 else v for k, v in start.values.items()}
    with pytest.raises(ArtifactError, match="weights that are not"):
        again(world, 0.0, replace(start, values=other))
    with pytest.raises(ArtifactError, match="without the weights"):
        Start.of(Part("dnn", {}, {"embedding": np.zeros((2, 2), np.float32)}))


def test_heads_come_back_with_the_constants_they_had() -> None:
    """Bins of a watch-time head are those of the labels it was made with, not of today's."""
    config = OrdinalHead.Config(n_bins=5)
    seconds = np.random.default_rng(0).gamma(2, 20, 500).astype(np.float32)
    head = OrdinalHead(config, seconds, np.full(500, np.nan, np.float32))
    arrays, about = kept(torch.nn.Linear(1, 1), [head])
    part = Part("dnn", {"heads": ["watch_s"], **about}, {**arrays, "embedding": np.zeros((1, 1), np.float32)})
    own = type("Own", (), {"watch_time": {"kind": "ordinal", "n_bins": 5}})
    (made,) = Start.of(part).opened_heads(own)
    assert made.n_logits == head.n_logits
    logits, length = torch.randn(8, head.n_logits), torch.full((8,), torch.nan)
    torch.testing.assert_close(made.predict(logits, length), head.predict(logits, length), rtol=0, atol=0)
