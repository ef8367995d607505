"""Watch times that tests of heads start from, and the constant that a head would serve for all of them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from feedmill.core.clock import rng
from feedmill.models.heads.head import WatchTimeHead


def drawn(n: int = 20_000, length_s: float = 20.0, seed: int = 0) -> np.ndarray:
    """float32[n] seconds of a video: skips, leaves on the way, a spike at its length, replays."""
    random = rng(seed, "watch times")
    story = random.choice(4, n, p=[0.25, 0.45, 0.2, 0.1])
    t = np.stack(
        [
            random.exponential(1.5, n),
            random.exponential(0.7 * length_s, n),
            np.full(n, length_s),
            length_s * (1 + random.exponential(1.0, n)),
        ]
    )
    return t[story, np.arange(n)].astype(np.float32)


def unknown(n: int) -> np.ndarray:
    """float32[n] durations that are not known."""
    return np.full(n, np.nan, np.float32)


def best_constant(head: WatchTimeHead, seconds: np.ndarray, duration: np.ndarray | None = None) -> float:
    """Seconds served at the minimum of the mean loss over rows that share their logits."""
    t = torch.from_numpy(seconds).double()
    d = torch.from_numpy(unknown(len(seconds)) if duration is None else duration).double()
    z, head = torch.zeros(head.n_logits, dtype=torch.float64, requires_grad=True), head.double()
    least = torch.optim.LBFGS(
        [z], max_iter=300, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        least.zero_grad()
        value = head.loss(z.expand(len(t), -1), t, d).mean()
        value.backward()
        return value

    least.step(loss)
    assert z.grad is not None
    assert z.grad.abs().max().item() < 1e-6
    return head.predict(z.detach().expand(len(t), -1), d).mean().item()


def segmm(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """float32[n] seconds watched and durations of the published sample of SegMM; none of 0 s in it."""
    with (folder / "segmm_sample" / "SegMM_inter_sample.csv").open(encoding="utf-8", newline="") as f:
        rows = [(row["playing_time"], row["duration_ms"]) for row in csv.DictReader(f)]
    ms = np.array(rows, np.float32)
    return ms[:, 0] / 1000, ms[:, 1] / 1000
