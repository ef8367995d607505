"""What watch-time heads would say at the minimum of their loss, and how large the model above the embeddings is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from feedmill.core.batches import Floats
from feedmill.core.workspace import component
from feedmill.models import WATCH_TIME
from feedmill.train.rank.ranker import Fitted

N_STEPS = 300  # of LBFGS at most


def n_weights(done: Fitted) -> int:
    """Learned weights of the model above its embeddings."""
    return sum(p.numel() for p in done.model.parameters())


def at_minimum(
    block: Mapping[str, Any],
    seconds: Floats,
    duration: Floats,
    drawn: NDArray[np.float64],
    lasts: NDArray[np.float64],
) -> NDArray[np.float64]:
    """float64[G] what a head serves where its expected loss is least, with logits of their own for each of G groups.

    No network stands between: what is off here is off in the head, whatever the model.

    Args:
        block: of the head, as in ``[rank] watch_time``.
        seconds, duration: float32[n] the labels that it takes its constants from.
        drawn: float64[G, k] seconds watched, as likely as each other within a group.
        lasts: float64[G] seconds that the items of a group last.
    """
    cls: Any = component(block, WATCH_TIME, "rank.watch_time")
    head = cls.cls(cls.config, seconds, duration).double()
    n_groups, n_draws = drawn.shape
    logits = torch.zeros(n_groups, head.n_logits, dtype=torch.float64, requires_grad=True)
    t, length = torch.from_numpy(drawn).flatten(), torch.from_numpy(lasts)
    of = torch.arange(n_groups).repeat_interleave(n_draws)
    optimizer = torch.optim.LBFGS([logits], max_iter=N_STEPS, tolerance_change=1e-12, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        value = head.loss(logits[of], t, length[of]).sum() / n_draws
        value.backward()
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        said: NDArray[np.float64] = head.predict(logits, length).numpy()
    return said
