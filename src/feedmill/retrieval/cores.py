"""Work on rows shared out among the cores of the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedmill.core.progress import progress


def on_all_cores(what: str, work: NDArray[np.float64], rows: Callable[[int, int], Any]) -> None:
    """Call ``rows(first, last)``, which must let go of the GIL, over spans of about equal work.

    Plain threads, and not a parallel kernel: those take 17 s to compile, and their fixed shares leave cores
    idle where a few rows hold most of the work.
    """
    with progress(what, len(work)) as advance, ThreadPoolExecutor(n_cores()) as pool:
        jobs = [(last - first, pool.submit(rows, first, last)) for first, last in spans(work, 64)]
        for n, job in jobs:
            job.result()
            advance(n)


def n_cores() -> int:
    """Cores this process may run on, which in a container are often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spans(work: NDArray[np.float64], n: int) -> Sequence[tuple[int, int]]:
    """At most ``n`` adjoining ranges of rows, none empty, that hold about equal work."""
    share = np.cumsum(work) / max(work.sum(), 1)
    inner = np.searchsorted(share, np.arange(1, n) / n, side="right")
    edges = np.unique(np.concatenate([[0], inner, [len(work)]])).tolist()
    return list(pairwise(edges))
