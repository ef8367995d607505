from __future__ import annotations

import math

import torch

from feedmill.models.text.lstm import LSTMConfig, LSTMEncoder, PeepholeLSTM


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def by_hand(lstm: PeepholeLSTM, x: torch.Tensor) -> list[float]:
    """h after the last of the positions of one text, number by number."""
    size = lstm.hidden_dim
    w, r, b = lstm.weight.tolist(), lstm.recurrent.tolist(), lstm.bias.tolist()
    peep_in, peep_out, peep_forget = lstm.peephole.tolist()
    h, c = [0.0] * size, [0.0] * size
    for row in x.tolist():
        gate = [
            b[g] + sum(a * v for a, v in zip(w[g], row, strict=True)) + sum(a * v for a, v in zip(r[g], h, strict=True))
            for g in range(4 * size)
        ]
        new_h, new_c = [], []
        for k in range(size):
            entered = sigmoid(gate[k] + peep_in[k] * c[k])
            kept = sigmoid(gate[2 * size + k] + peep_forget[k] * c[k])
            cell = kept * c[k] + entered * math.tanh(gate[3 * size + k])
            shown = sigmoid(gate[size + k] + peep_out[k] * cell)  # the output gate sees the new cell
            new_c.append(cell)
            new_h.append(shown * math.tanh(cell))
        h, c = new_h, new_c
    return h


def made(dim: int = 3, hidden: int = 4) -> PeepholeLSTM:
    torch.manual_seed(1)
    lstm = PeepholeLSTM(dim, hidden)
    torch.nn.init.normal_(lstm.peephole)
    torch.nn.init.normal_(lstm.bias)
    return lstm


def test_it_equals_a_plain_loop() -> None:
    lstm, x = made(), torch.randn(5, 7, 3)
    length = torch.tensor([7, 1, 4, 0, 2])
    h = lstm(x, length)
    for row, n in enumerate([7, 1, 4, 1, 2]):  # an empty text reads one position, which its padding makes zero
        torch.testing.assert_close(h[row], torch.tensor(by_hand(lstm, x[row, :n])))


def test_without_peepholes_it_is_torch_s_lstm() -> None:
    lstm = made()
    torch.nn.init.zeros_(lstm.peephole)
    plain = torch.nn.LSTM(3, 4, batch_first=True)
    order = torch.cat([torch.arange(4), torch.arange(8, 16), torch.arange(4, 8)])  # theirs: in, forget, cell, out
    plain.load_state_dict(
        {
            "weight_ih_l0": lstm.weight[order],
            "weight_hh_l0": lstm.recurrent[order],
            "bias_ih_l0": lstm.bias[order],
            "bias_hh_l0": torch.zeros(16),
        }
    )
    x = torch.randn(2, 6, 3)
    torch.testing.assert_close(lstm(x, torch.tensor([6, 6])), plain(x)[1][0][0])


def test_peepholes_matter_and_learn() -> None:
    lstm, x, length = made(), torch.randn(2, 6, 3), torch.tensor([6, 3])
    before = lstm(x, length)
    before.sum().backward()
    assert lstm.peephole.grad is not None
    assert (lstm.peephole.grad.abs() > 0).all()
    torch.nn.init.zeros_(lstm.peephole)
    assert not torch.allclose(lstm(x, length), before)


def test_padding_changes_nothing() -> None:
    encoder = LSTMEncoder(LSTMConfig(embedding_dim=3, hidden_dim=4, output_dim=5))
    x, length = torch.randn(2, 4, 3), torch.tensor([4, 2])
    wide = torch.cat([x, torch.randn(2, 9, 3)], dim=1)
    torch.testing.assert_close(encoder(wide, length), encoder(x, length))
    assert encoder(x, length).shape == (2, 5)
