"""LSTM-DSSM: an LSTM with peepholes reads the text (Palangi et al. 2014; Gers and Schmidhuber 2000)."""

from __future__ import annotations

from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from feedmill.models.text.config import DSSMConfig
from feedmill.models.text.output import output_layer


class LSTMConfig(DSSMConfig, frozen=True):
    """Parameters of ``kind = "lstm"``."""

    hidden_dim: Annotated[int, Meta(ge=1, description="width of the cell")] = 128


class PeepholeLSTM(nn.Module):
    """An LSTM whose gates look at the cell.

    i_t = sigmoid(W_i x_t + R_i h_(t-1) + p_i c_(t-1) + b_i), f_t likewise; c_t = f_t c_(t-1) + i_t tanh(W_c x_t +
    R_c h_(t-1) + b_c); o_t = sigmoid(W_o x_t + R_o h_(t-1) + p_o c_t + b_o); h_t = o_t tanh(c_t).

    Gates are stored in the order of ONNX's LSTM, which serves it: input, output, forget, cell; peepholes input, output,
    forget.
    """

    def __init__(self, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        h = self.hidden_dim = hidden_dim
        self.weight = nn.Parameter(torch.empty(4 * h, input_dim))
        self.recurrent = nn.Parameter(torch.empty(4 * h, h))
        self.bias = nn.Parameter(torch.zeros(4 * h))
        self.peephole = nn.Parameter(torch.zeros(3, h))
        nn.init.xavier_uniform_(self.weight)
        for gate in range(4):
            nn.init.orthogonal_(self.recurrent.data[gate * h : (gate + 1) * h])
        self.bias.data[2 * h : 3 * h] = 1.0  # remember at first (Gers et al. 2000)

    def forward(self, x: Tensor, length: Tensor) -> Tensor:
        """float32[n, T, D], int64[n] -> float32[n, H]: h where each text ends; of an empty one after one zero."""
        last = length.clamp(min=1)
        if torch.onnx.is_in_onnx_export():
            return self._as_onnx(x, last)
        h = c = x.new_zeros(len(x), self.hidden_dim)
        wx = torch.addmm(self.bias, x.transpose(0, 1).flatten(0, 1), self.weight.t()).view(-1, len(x), len(self.bias))
        transposed, (p_i, p_o, p_f) = self.recurrent.t(), self.peephole
        states = []
        for step in wx:
            i, o, f, g = torch.addmm(step, h, transposed).chunk(4, dim=1)
            i, f = torch.sigmoid(torch.addcmul(i, p_i, c)), torch.sigmoid(torch.addcmul(f, p_f, c))
            c = f * c + i * torch.tanh(g)
            h = torch.sigmoid(torch.addcmul(o, p_o, c)) * torch.tanh(c)
            states.append(h)
        return torch.stack(states)[last - 1, torch.arange(len(x))]

    def _as_onnx(self, x: Tensor, last: Tensor) -> Tensor:
        """ONNX's operator: a loop of unknown length cannot be traced."""
        zeros = torch.zeros_like(self.bias)
        inputs = (
            x.transpose(0, 1),
            self.weight[None],
            self.recurrent[None],
            torch.cat([self.bias, zeros])[None],
            last.to(torch.int32),
            None,
            None,
            self.peephole.flatten()[None],
        )
        _, h, _ = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            inputs,
            {"hidden_size": self.hidden_dim},
            dtypes=(x.dtype,) * 3,
            shapes=((x.shape[1], 1, x.shape[0], self.hidden_dim), *[(1, x.shape[0], self.hidden_dim)] * 2),
            version=14,
        )
        return h[0]


class LSTMEncoder(nn.Module):
    """tanh(W h_T + b), h_T the LSTM's state at the end of the text."""

    Config = LSTMConfig
    is_bag, least, ngrams = False, 1, 1

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__()
        self.lstm = PeepholeLSTM(config.embedding_dim, config.hidden_dim)
        self.output = output_layer(config.hidden_dim, config.output_dim)

    def forward(self, x: Tensor, length: Tensor) -> Tensor:
        """float32[n, T, D] embedded positions, int64[n] how many a text has -> float32[n, output_dim]."""
        return torch.tanh(self.output(self.lstm(x, length)))
