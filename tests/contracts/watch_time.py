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
