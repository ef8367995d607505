"""The learner's side of the guard: what it leaves out, what it forgets, and whether a step may be kept.

The guard of the stream sees clicks stop; it does not see what the model makes of them. So every step is judged too, by
what was predicted before it was learned from: actual over predicted positives of each head, compared with the steps
before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from feedmill.core.batches import Mask, SampleBatch, Times
from feedmill.core.events import EventBatch
from feedmill.publish.delta import Delta
from feedmill.samples.guard import Guard, GuardConfig, Stretch, Verdict, Window, by_hand, quarantined
from feedmill.samples.guard.verdict import ALARM, moment
from feedmill.state import Probed, State
from feedmill.train.update.incremental import Incremental

LEFT_OUT, UNTIL, OFFSET, STEPS, RESUMES = "left_out", "until_ms", "offset", "guard", "resumes"  # of a delta's ``about``
WHO, OVER = "update --incremental", " over predicted"


class Guarded:
    """An incremental learner that heeds the guard.

    Args:
        learner: which goes on from ``last``.
        verdict: on the stream; None = nobody has looked at it, and nothing of it is known to be well.
        config: ``healthy`` is one here: a step is minutes long.

    Attributes:
        judged: the offset of the log up to which the guard has judged: what closed after it waits.
    """

    def __init__(self, learner: Incremental, last: Delta | None, verdict: Verdict | None, config: GuardConfig) -> None:
        self.learner, self._last = learner, last
        self._stretches = verdict.stretches if verdict is not None else []
        self.judged = verdict.offset if verdict is not None else 0
        self._judged_ms = verdict.judged_ms if verdict is not None else None
        self._resumes = verdict.resumes if verdict is not None else 0
        self._is_open = verdict is not None and verdict.is_open
        about: Mapping[str, Any] = last.about if last is not None else {}
        state = about.get(STEPS) if about.get(RESUMES, 0) == self._resumes else None
        own = structs.replace(config, healthy=1)
        self._steps = Guard.of(own, state.encode()) if state else Guard(own)

    def undo(self, newest: Callable[[Callable[[Delta], bool]], Delta | None]) -> Delta | None:
        """Forget what has been learned from a stretch in quarantine: the delta to publish; None when there is nothing.

        Args:
            newest: finds the newest delta that fits.
        """
        if self._last is None or is_clean(self._last, self._stretches):
            return None
        back = newest(lambda delta: is_clean(delta, self._stretches))
        self._last = self._noted(self.learner.roll_back(back), back)
        return self._last

    def offset(self, base: int) -> int:
        """Of the log, what closed before which has been learned; ``base`` before there is a delta."""
        return int(self._last.about.get(OFFSET, base)) if self._last is not None else base

    def may_learn(self, time_ms: Times) -> Mask:
        """bool[n]: which moments are not in quarantine."""
        return ~quarantined(self._stretches, time_ms)

    def step(self, samples: SampleBatch, probed: Probed, state: State, offset: int) -> tuple[Delta, EventBatch | None]:
        """Learn from rows, and forget them again if they were not what the model is used to.

        Args: as of ``Incremental.step``.

        Returns:
            the delta to publish, and None; or the event for the log that puts the rows in quarantine.
        """
        last, delta = self._last, self.learner.step(samples, probed, state, offset)
        findings = self._steps.observe(Window(*_span(samples), _calibration(delta)))
        if not self._steps.is_open:
            self._last = self._noted(delta, last)
            return self._last, None
        why = "; ".join(f.words for f in findings) or "the steps before it were off"
        start_ms, end_ms = _span(samples, [f.signal for f in findings])
        back = self._noted(self.learner.roll_back(last), last)
        left_out = sorted([*back.about[LEFT_OUT], [start_ms, end_ms]])
        self._last = replace(back, about={**back.about, OFFSET: offset, LEFT_OUT: left_out})
        ALARM.warning("does not learn from %s to %s: %s", moment(start_ms), moment(end_ms), why)
        order = by_hand.Order("quarantine", WHO, why, start_ms, end_ms)
        return self._last, by_hand.event(order, time.time_ns() // 1_000_000)

    @property
    def words(self) -> str:
        """Why less is learned than came, if so; begins with a colon."""
        if self._is_open:
            going = [s for s in self._stretches if not s.to_ms]
            return f": the guard is open since {moment(going[-1].from_ms)}, see feedmill guard status"
        if self._steps.is_open:
            return ": predictions and what came of them part, see feedmill guard status"
        return "" if self._judged_ms is None else f", of what the guard has judged, up to {moment(self._judged_ms)}"

    def _noted(self, delta: Delta, last: Delta | None) -> Delta:
        """The delta, which says what it has left out, and carries on what is known of steps."""
        before = last.about if last is not None else {}
        out = {int(a): int(b) for a, b in before.get(LEFT_OUT, ())} | {s.from_ms: s.to_ms for s in self._stretches}
        times = [about[UNTIL] for about in (before, delta.about) if UNTIL in about]
        until = {UNTIL: max(times)} if times else {}
        own = {LEFT_OUT: sorted(map(list, out.items())), STEPS: self._steps.state().decode(), RESUMES: self._resumes}
        return replace(delta, about={**delta.about, **until, **own})


def is_clean(delta: Delta, stretches: Sequence[Stretch]) -> bool:
    """Whether a delta has learned from nothing that is in quarantine, as far as is known by now."""
    until = delta.about.get(UNTIL)
    known = {int(a): int(b) for a, b in delta.about.get(LEFT_OUT, ())}
    return until is None or all(s.from_ms > until or _is_left_out(s, known) for s in stretches)


def _is_left_out(stretch: Stretch, known: Mapping[int, int]) -> bool:
    """Left out when it was learned; a stretch that went on then, and has ended since, was left out too."""
    to_ms = known.get(stretch.from_ms)
    return to_ms is not None and (to_ms == 0 or 0 < stretch.to_ms <= to_ms)


def _span(samples: SampleBatch, signals: Sequence[str] = ()) -> tuple[int, int]:
    """When the rows that tell of these signals were shown, the end not in it; all rows without one.

    Heads close after each other, so one step has rows of now for one and of an hour ago for another.
    """
    off = [any(signal.endswith(f".{head}{OVER}") for signal in signals) for head in samples.heads]
    rows = samples.mask[:, off].any(axis=1)
    time_ms = samples.probe.time_ms[samples.probe.request_of[rows if rows.any() else ~rows]]
    return int(time_ms.min()), int(time_ms.max()) + 1


def _calibration(delta: Delta) -> dict[str, tuple[float, float]]:
    """Actual over predicted positives of each part's heads, as rates."""
    return {
        f"{part}.{head}{OVER}": (found["positives"][head], predicted)
        for part, found in delta.about.items()
        if isinstance(found, Mapping) and "predicted" in found
        for head, predicted in found["predicted"].items()
    }
