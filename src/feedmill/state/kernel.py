"""The one kernel: it reads events in order and answers, between any two of them, what was known.

Offline it is one call on ten million events with a hundred thousand probes; in serving it is the same call on no events
and one probe, and after a click on one event and no probe.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from feedmill.core.batches import Mask
from feedmill.state.arrays import Answers, Arrays, Changes, Columns, Plan, Probes, Scratch
from feedmill.state.compiler import jit
from feedmill.state.fold import fold
from feedmill.state.match import answer

SOURCES = ("arrays.py", "compiler.py", "fold.py", "match.py", "pairs.py")


def link(stamp: int) -> Callable[..., None]:
    """The kernel for one version of its sources.

    The compiler keeps it on disk and by itself would only notice a change of this file; but what a function closes
    over is part of what the compiler knows it by.
    """

    @jit
    def run(
        a: Arrays, plan: Plan, events: Columns, changes: Changes, probes: Probes, wanted: Mask, out: Answers, x: Scratch
    ) -> None:
        """Fold the events into ``a`` and fill ``out``: request r sees the first ``probes.at[r]`` events.

        ``wanted``: bool[L] lanes whose histories are handed out. Probes change nothing in ``a``.
        """
        if stamp == 0:
            return
        start = changed = candidate = np.int64(0)
        for r in range(len(probes.user)):
            changed = fold(a, plan, events, changes, start, probes.at[r], changed, x)
            start = probes.at[r]
            candidate = answer(a, plan, probes, wanted, out, x, r, candidate)
        fold(a, plan, events, changes, start, np.int64(len(events.kind)), changed, x)

    return run


run = link(1 + zlib.crc32(b"".join(Path(__file__).with_name(name).read_bytes() for name in SOURCES)))
