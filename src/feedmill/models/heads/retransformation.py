"""What a mean of transformed seconds lacks to the mean of seconds, as a factor read off the labels.

A head that learns the mean of a concave g(t) (a logarithm, a power) and serves g^-1 of it reads low (Jensen): by
E[t | x] / g^-1(E[g(t) | x]), which differs from x to x with the spread of t. Duan's smearing estimate (JASA 1983) takes
that factor from residuals and is one number. Here it is taken from the labels before anything is learned: of all rows
together, or of groups of similar duration, since long items' watch times spread most. It is right where the duration
says of the spread what x says, and too high where the model knows more than the duration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from feedmill.models.heads.cuts import Doubles
from feedmill.models.heads.head import Numbers

Repair = Literal["none", "constant", "duration"]
N_GROUPS, LEAST_ROWS = 10, 100


class Retransformation(nn.Module):
    """A factor on served seconds, piecewise linear in the logarithm of the duration.

    Args:
        t: float64[n] seconds.
        turned_back: float64[m] seconds -> g^-1(mean of g), seconds.
        duration: float32[n] seconds, all known.
        repair: "constant" makes it one number, the mean of seconds over the mean of what the groups turn back to.
    """

    at: Tensor
    slope: Tensor
    first: Tensor

    def __init__(self, t: Doubles, turned_back: Callable[[Doubles], float], duration: Numbers, repair: Repair) -> None:
        super().__init__()
        x = np.log(duration.astype(np.float64))
        groups = _groups(x)
        mean = np.array([t[g].mean() for g in groups])
        back = np.array([turned_back(t[g]) for g in groups])
        n, at = np.array([len(g) for g in groups]), np.array([x[g].mean() for g in groups])
        if repair == "constant":
            factor = np.full(len(groups), (n * mean).sum() / (n * back).sum())
        else:
            factor = np.where(back > 0, mean / np.where(back > 0, back, 1), 1)
        slope = np.diff(factor) / np.diff(at)
        for name, array in (("at", at), ("slope", slope), ("first", factor[:1])):
            self.register_buffer(name, torch.tensor(array, dtype=torch.float32))

    def forward(self, duration: Tensor) -> Tensor:
        """float32[B] known durations -> float32[B]; beyond the outer groups their factor stays."""
        x = torch.log(duration)[:, None]
        steps = torch.minimum(torch.clamp(x - self.at[:-1], min=0), self.at.diff())
        return self.first + (self.slope * steps).sum(1)


def _groups(x: Doubles) -> list[np.ndarray]:
    """Rows of each of at most ``N_GROUPS`` groups of similar x, about equal in size; of few values a group each."""
    n_groups = int(np.clip(len(x) // LEAST_ROWS, 1, N_GROUPS))
    values, group = np.unique(x, return_inverse=True)
    if len(values) > n_groups:
        edges = np.unique(np.quantile(x, np.linspace(0, 1, n_groups + 1)[1:-1], method="higher"))
        group = np.searchsorted(edges, x, side="right")
    return [np.flatnonzero(group == k) for k in np.unique(group)]
