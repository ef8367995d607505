import numpy as np
import torch

from feedmill.features.served.graph import pool
from feedmill.models.embeddings import FusedEmbedding


def test_a_field_is_the_mean_of_its_known_ids() -> None:
    table = FusedEmbedding(5, 3)
    ids = torch.tensor([[1, 2, 0, 3], [0, 0, 0, 4]])
    (out,) = table((ids, [0, 3, 4]))
    w = table.table.weight
    torch.testing.assert_close(out[0, 0], (w[1] + w[2]) / 2)
    torch.testing.assert_close(out[0, 1], w[3])
    assert (out[1, 0] == 0).all()


def test_a_batch_without_padding_counts_every_id() -> None:
    table = FusedEmbedding(5, 3)
    (out,) = table((torch.tensor([[1, 2]]), [0, 2]))
    torch.testing.assert_close(out[0, 0], table.table.weight[1:3].mean(0))


def test_serving_pools_as_training_does() -> None:
    table = FusedEmbedding(50, 8)
    ids = np.random.default_rng(0).integers(0, 50, (20, 9)).astype(np.int32)
    starts = [0, 1, 5, 9]
    ours = pool(table.table.weight.detach().numpy(), ids, np.array(starts, np.int32))
    np.testing.assert_allclose(ours, table((torch.from_numpy(ids), starts))[0].detach().numpy(), atol=1e-6)


def test_the_zero_row_stays_zero() -> None:
    table = FusedEmbedding(4, 2)
    step = torch.optim.SparseAdam(list(table.parameters()), lr=0.1)
    table((torch.tensor([[0, 1]]), [0, 2]))[0].sum().backward()
    step.step()
    assert (table.table.weight[0] == 0).all()
