"""What every head for watch time must do, whatever its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from feedmill.core.config import convert
from feedmill.models import WATCH_TIME
from feedmill.models.heads.head import WatchTimeHead
from feedmill.train.export import traced

VARIANTS: dict[str, dict[str, Any]] = {
    "weighted_logistic": {"kind": "weighted_logistic"},
    "weighted_logistic, corrected": {"kind": "weighted_logistic", "correct_rate": True},
    "mse": {"kind": "mse", "transform": "none"},
    "mse of log": {"kind": "mse", "transform": "log"},
    "mse of log, repaired": {"kind": "mse", "transform": "log", "repair": "constant"},
    "mse of power": {"kind": "mse", "transform": "power"},
    "mse of power, repaired": {"kind": "mse", "transform": "power", "repair": "duration"},
    "wce 1": {"kind": "wce", "scheme": 1},
    "wce 1, no cap": {"kind": "wce", "scheme": 1, "cap": 0.0},
    "wce 1, repaired": {"kind": "wce", "scheme": 1, "repair": "learned"},
    "wce 2": {"kind": "wce", "scheme": 2},
    "wce 2, repaired": {"kind": "wce", "scheme": 2, "repair": "constant"},
    "wce 3": {"kind": "wce", "scheme": 3},
    "fraction": {"kind": "fraction"},
    "fraction, weighted": {"kind": "fraction", "weighted": True},
    "completion": {"kind": "completion"},
    "completion, replays": {"kind": "completion", "replays": 5.0},
    "finish": {"kind": "finish"},
    "finish, plain": {"kind": "finish", "fair": False},
    "softmax": {"kind": "softmax"},
    "softmax, medians": {"kind": "softmax", "centre": "median", "n_bins": 10},
    "distilled": {"kind": "distilled"},
    "distilled, laplace, exponential": {
        "kind": "distilled",
        "noise": "laplace",
        "bins": "exponential",
        "by_width": True,
        "recalibrate": False,
    },
    "distilled, edges, uniform": {"kind": "distilled", "points": "edges", "bins": "uniform", "sigma_s": 2.0},
    "distilled, given": {"kind": "distilled", "bins": [1.0, 3.0, 7.0, 20.0, 60.0, 200.0], "recalibrate": False},
    "ordinal": {"kind": "ordinal"},
    "ordinal, medians": {"kind": "ordinal", "centre": "median", "n_bins": 10},
    "quantile": {"kind": "quantile"},
    "quantile, ten of log": {"kind": "quantile", "levels": [0.05 + 0.1 * k for k in range(10)], "transform": "log"},
    "quantile, repaired": {"kind": "quantile", "repair": "duration"},
    "quantile, learned": {"kind": "quantile", "repair": "learned", "levels": [0.25, 0.75]},
    "d2q": {"kind": "d2q"},
    "d2q, learned": {"kind": "d2q", "repair": "learned"},
    "d2q, repaired": {"kind": "d2q", "repair": "duration"},
    "d2q, cross-entropy": {"kind": "d2q", "error": "cross_entropy", "n_groups": 5},
    "cread": {"kind": "cread"},
    "cread, means": {"kind": "cread", "restore": "means", "alpha": 0.0, "n_bins": 12},
    "tpm": {"kind": "tpm"},
    "tpm, midpoints": {"kind": "tpm", "centre": "midpoint", "variance_weight": 0.0, "n_leaves": 13},
}
CAP_S = 600.0


def labels(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Skips, full plays, replays beyond the cap, items of unknown length."""
    random = np.random.default_rng(0)
    duration = random.lognormal(3.2, 0.8, n).astype(np.float32)
    share = random.choice([0.0, 0.1, 0.5, 1.0, 3.0], n, p=[0.1, 0.3, 0.2, 0.3, 0.1])
    seconds = (duration * share * random.uniform(0.8, 1.2, n)).astype(np.float32)
    seconds[0] = 2 * CAP_S
    duration[::17] = np.nan
    return seconds, duration


def made(variant: str, seconds: np.ndarray | None = None, duration: np.ndarray | None = None) -> WatchTimeHead:
    """A head of a variant, with labels to learn."""
    block = dict(VARIANTS[variant])
    cls: Any = WATCH_TIME[block.pop("kind")]
    t, d = labels()
    t, d = (t if seconds is None else seconds), (d if duration is None else duration)
    head: WatchTimeHead = cls(convert({"cap_s": CAP_S, **block}, cls.Config), t, d)
    return head


def check_is_finite(head: WatchTimeHead) -> None:
    """Loss, gradient and what is served, at 0 s, at the cap, beyond it, for replays, and for any logits."""
    seconds = torch.tensor([0.0, 1e-3, 10.0, 60.0, CAP_S, 1e7])
    duration = torch.tensor([10.0, 10.0, 10.0, 20.0, np.nan, 5.0])
    for scale in (0.0, 1.0, 30.0, 1e4):
        logits = (scale * torch.randn(6, head.n_logits, generator=torch.Generator().manual_seed(1))).requires_grad_()
        loss = head.loss(logits, seconds, duration)
        assert loss.shape == (6,)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()
        served = head.predict(logits.detach(), duration)
        assert served.shape == (6,)
        assert torch.isfinite(served).all()
        if head.gives == "seconds":
            assert ((served >= 0) & (served <= CAP_S * 1.0001)).all()


def check_gradient(head: WatchTimeHead) -> None:
    """Of the loss, against finite differences in double precision."""
    doubles = head.double()
    seconds = torch.tensor([0.0, 0.7, 9.0, 61.0, 599.0], dtype=torch.float64)
    duration = torch.tensor([10.0, 12.5, 10.0, 20.0, 33.0], dtype=torch.float64)
    logits = torch.randn(5, head.n_logits, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.autograd.gradcheck(lambda z: doubles.loss(z, seconds, duration), logits.requires_grad_(), atol=1e-6)


def check_rows_are_apart(head: WatchTimeHead) -> None:
    """A row's loss and prediction do not depend on the others beside it."""
    t, d = (torch.from_numpy(x[:50]) for x in labels())
    logits = torch.randn(50, head.n_logits, generator=torch.Generator().manual_seed(3))
    by = torch.arange(49, -1, -1)
    torch.testing.assert_close(head.loss(logits, t, d)[by], head.loss(logits[by], t[by], d[by]))
    torch.testing.assert_close(head.predict(logits, d)[by], head.predict(logits[by], d[by]))


def check_learns(head: WatchTimeHead) -> None:
    """With logits of their own, rows end in order: who watched longer of items as long is served more."""
    seconds = torch.tensor([0.5, 6.0, 25.0, 120.0])
    duration = torch.full((4,), 60.0)
    logits = torch.zeros(4, head.n_logits, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        head.loss(logits, seconds, duration).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    served = head.predict(logits.detach(), duration)
    assert (served.diff() >= -1e-4).all(), served
    assert served[3] > served[0]


def check_needs_no_duration(head: WatchTimeHead) -> None:
    """A head that does not read the duration serves without it."""
    logits, unknown = torch.randn(5, head.n_logits), torch.full((5,), torch.nan)
    if not head.reads_duration:
        torch.testing.assert_close(head.predict(logits, None), head.predict(logits, unknown))  # type: ignore[arg-type]


class _Served(nn.Module):
    def __init__(self, head: WatchTimeHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, logits: Tensor, duration: Tensor) -> Tensor:
        return self.head.predict(logits, duration) + 0 * duration.nan_to_num()  # so that it is an input


def check_graph(head: WatchTimeHead) -> None:
    """The exported graph serves the same, for any number of rows."""
    rows = torch.export.Dim("C", min=1)
    logits, duration = torch.randn(2, head.n_logits), torch.tensor([10.0, 70.0])
    blob = traced(
        _Served(head.eval()), (logits, duration), ["logits", "duration"], {"logits": {0: rows}, "duration": {0: rows}}
    )
    session = onnxruntime.InferenceSession(blob, providers=["CPUExecutionProvider"])
    logits = 3 * torch.randn(7, head.n_logits, generator=torch.Generator().manual_seed(4))
    duration = torch.tensor([1.0, 10.0, np.nan, 30.0, 100.0, 600.0, 5.0])
    (out,) = session.run(None, {"logits": logits.numpy(), "duration": duration.numpy()})
    np.testing.assert_allclose(out, head.predict(logits, duration).numpy(), rtol=2e-4, atol=1e-4)
