"""The online joiner: impressions and feedback in, samples out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from feedmill.core.errors import ArtifactError
from feedmill.core.events import N_COUNTED, EventBatch, Kind
from feedmill.samples.joiner import arrays, kernel
from feedmill.samples.joiner.arrays import Events, Out, Rules
from feedmill.samples.joiner.config import Groups, JoinConfig
from feedmill.samples.joiner.counts import Counts, counted, n_early, tallied
from feedmill.samples.joiner.kernel import CLOCK, EARLY_HEAD, EARLY_TAIL, N_RUNS, N_SIDE, N_TICKS, NEVER, TAIL
from feedmill.samples.joiner.keys import keys, lengths
from feedmill.samples.joiner.samples import Joined, samples, schema, side
from feedmill.samples.joiner.shown import SCHEMA, Shown

_SLICE = 16_384  # events the kernel takes at a time; bounds what it may say of them


class State(msgspec.Struct, frozen=True):
    """All that a joiner is between two events: arrays by name, the texts of what waits, and about both."""

    arrays: Mapping[str, NDArray[Any]]
    texts: pa.RecordBatch
    about: Mapping[str, Any]


class Joiner:
    """HashQueue (He et al. 2014, section 4) over batches of the log; however they are cut, the samples are the same.

    The kernel is compiled, or found compiled, when the first one is made.

    Args:
        config: see ``JoinConfig``.
        tick_s: length of the guard's windows.

    Raises:
        ConfigError: windows of no kind, of an unknown one, or not positive; an unknown time zone.
    """

    def __init__(self, config: JoinConfig, tick_s: float = 60.0) -> None:
        self.config, self.groups, self.tick_s = config, Groups.of(config), tick_s
        self.offset = 0
        self._rules = Rules(
            self.groups.window_ms,
            self.groups.of_kind,
            round(config.skew_s * 1000),
            round(config.early_s * 1000),
            config.max_waiting,
            max(1, round(tick_s * 1000)),
        )
        self._tally = arrays.tally(len(self.groups.window_ms), N_COUNTED, config.witnesses)
        self._queue, self._early, self._texts = arrays.queue(1024), arrays.early(1024), Shown()
        n_runs = 2 * len(self.groups.window_ms) * _SLICE
        self._accepted, self._runs = np.zeros(_SLICE, np.bool_), np.zeros((n_runs, 4), np.int64)
        n_counts = kernel.TICK_COUNTS + self._tally.shown.size + self._tally.kinds.size
        self._ticks = np.zeros((_SLICE // kernel.TICK_LEAST + 2, n_counts), np.int64)
        self._kernel(EventBatch.empty())

    @property
    def waiting(self) -> int:
        """Impressions that entered and have not closed for good."""
        return int(self._tally.now[TAIL] - self._tally.heads[-1])

    @property
    def clock_ms(self) -> int | None:
        """What time it is in the log, milliseconds since 1970 UTC; None before enough feeds have said so."""
        clock = int(self._tally.now[CLOCK])
        return None if clock == NEVER else clock

    @property
    def settled_ms(self) -> int | None:
        """What was shown before this is in samples, and no more of it will enter; None before there is a clock."""
        clock_ms = self.clock_ms
        if clock_ms is None:
            return None
        waiting = arrays.live(self._queue, int(self._tally.heads[-1]), int(self._tally.now[TAIL]))["time_ms"]
        horizon_ms = clock_ms - int(self._rules.window_ms[-1]) - self._rules.skew_ms + 1
        return min(horizon_ms, int(waiting.min(initial=horizon_ms)))

    @property
    def counts(self) -> Counts:
        """Counted since the log began."""
        early = arrays.live(self._early, *self._early_range())["kind"]
        waiting = {int(kind): int((early == kind).sum()) for kind in self.groups.kinds}
        return counted(self._tally, self.groups, waiting, self._open())

    def feed(self, events: EventBatch, offset: int) -> Joined:
        """Take the events from ``offset`` on, which must be where the last ones ended.

        Raises:
            ValueError: they leave a gap or come again.
        """
        if offset != self.offset:
            raise ValueError(f"events from offset {offset}; the joiner stands at {self.offset}")
        out, aside, ticks = [], [], [self._ticks[:0]]
        for start in range(0, len(events), _SLICE):
            heads = self._tally.heads.copy()
            part = events[start : start + _SLICE]
            runs, rows, accepted = self._kernel(part)
            self._texts.add(part, accepted)
            if len(runs):
                out.append(samples(self._texts, self._queue, self.groups, heads, runs))
                self._texts.release(int(self._tally.heads[-1]))
            if len(rows):
                aside.append(side(rows))
            ticks.append(self._ticks[: self._tally.now[N_TICKS]].copy())
            self.offset += len(part)
        found, sides = [schema(self.groups).empty_table(), *out], [side(np.zeros((0, 6), np.int64)), *aside]
        return Joined(pa.concat_tables(found), pa.concat_tables(sides), np.concatenate(ticks))

    def state(self) -> State:
        """All there is to know, for ``restore``; the same whatever the batches were."""
        t = self._tally
        waiting = arrays.live(self._queue, int(t.heads[-1]), int(t.now[TAIL]))
        early = arrays.live(self._early, *self._early_range())
        columns = {f"tally.{name}": column.copy() for name, column in t._asdict().items()}
        columns |= {f"queue.{name}": column for name, column in waiting.items()}
        columns |= {f"early.{name}": column for name, column in early.items()}
        about = {"offset": self.offset, "config": msgspec.to_builtins(self.config)}
        return State(columns, self._texts.table(int(t.heads[-1])), about)

    @classmethod
    def restore(cls, config: JoinConfig, state: State, tick_s: float = 60.0) -> Joiner:
        """A joiner that goes on where the other stopped.

        Raises:
            ArtifactError: the state was made with other parameters, or lacks something.
        """
        given, wanted = state.about["config"], msgspec.to_builtins(config)
        if given != wanted:
            differ = [name for name in wanted if given.get(name) != wanted[name]]
            raise ArtifactError(
                f"samples were joined with other {', '.join(differ)}: {', '.join(repr(given.get(n)) for n in differ)}",
                f"[samples.join] as it was, not {', '.join(repr(wanted[n]) for n in differ)}",
                "undo the change, or join the whole log anew: feedmill join --again",
            )
        self = cls(config, tick_s)
        try:
            self._fill(state)
        except (KeyError, ValueError, IndexError, pa.ArrowException) as e:
            raise ArtifactError(f"the joiner's state lacks something: {e}", "a whole state") from None
        return self

    def _fill(self, state: State) -> None:
        columns = {of: {} for of in ("tally", "queue", "early")}  # type: dict[str, dict[str, NDArray[Any]]]
        for name, column in state.arrays.items():
            of, _, field = name.partition(".")
            columns[of][field] = column
        for name, array in self._tally._asdict().items():
            array[...] = columns["tally"][name]
        head, tail = int(self._tally.heads[-1]), int(self._tally.now[TAIL])
        if tail - head != state.texts.num_rows or state.texts.schema != SCHEMA:
            raise ValueError(f"{state.texts.num_rows} texts for {tail - head} impressions")
        self._hold_queue(head, columns["queue"], tail - head)
        early_head, early_tail = self._early_range()
        self._hold_early(early_head, columns["early"], early_tail - early_head)
        self._texts = Shown(head)
        self._texts.extend(state.texts)
        self.offset = int(state.about["offset"])

    def _kernel(self, part: EventBatch) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Runs and side rows of one slice, and which of its events are impressions that entered."""
        n, t = len(part), self._tally
        self._make_room(n)
        found = keys(part.table.column("request_id"), part.table.column("item_id"))
        keyed = lengths(part.table.column("request_id")) > 0
        columns = (part.numpy("kind"), part.numpy("time_ms"), part.numpy("value"))
        aside = np.zeros((n + n_early(t), len(kernel.SIDE)), np.int64)
        self._accepted[:n] = False
        out = Out(self._accepted, self._runs, aside, self._ticks)
        kernel.run(self._queue, self._early, t, self._rules, Events(*columns, *found, keyed, self.offset), out)
        return self._runs[: t.now[N_RUNS]], aside[: t.now[N_SIDE]], self._accepted[:n]

    def _make_room(self, n: int) -> None:
        """Both queues take n more; nothing that they held is overwritten while a slice is taken."""
        head, tail = int(self._tally.heads[-1]), int(self._tally.now[TAIL])
        if tail - head + n > len(self._queue.first):
            self._hold_queue(head, arrays.live(self._queue, head, tail), tail - head + n)
        head, tail = self._early_range()
        if tail - head + n > len(self._early.first):
            self._hold_early(head, arrays.live(self._early, head, tail), tail - head + n)

    def _hold_queue(self, head: int, waiting: dict[str, NDArray[Any]], room: int) -> None:
        """A queue with room for so many that holds these, the first of which is number ``head``."""
        self._queue = arrays.queue(arrays.power(room))
        arrays.put(self._queue, head, waiting)
        kernel.index(self._queue.table, self._queue.first, np.arange(head, head + len(waiting["first"])))

    def _hold_early(self, head: int, waiting: dict[str, NDArray[Any]], room: int) -> None:
        self._early = arrays.early(arrays.power(room))
        arrays.put(self._early, head, waiting)
        at = np.arange(head, head + len(waiting["first"]))
        waits = waiting["kind"] >= 0
        begins = np.setdiff1d(at[waits], waiting["after"][waits] - 1)  # chains, where nothing that waits leads
        kernel.index(self._early.table, self._early.first, begins)

    def _early_range(self) -> tuple[int, int]:
        return int(self._tally.now[EARLY_HEAD]), int(self._tally.now[EARLY_TAIL])

    def _open(self) -> dict[int, int]:
        """Labels whose window is open: of impressions that their group has not emitted."""
        out: dict[int, int] = {}
        for group in range(len(self.groups.window_ms)):
            kinds: tuple[Kind, ...] = tuple(k for k in self.groups.kinds if self.groups.of_kind[k] == group)
            head = int(self._tally.heads[group])
            at = np.arange(head, int(self._tally.now[TAIL])) & (len(self._queue.first) - 1)
            out |= tallied(self._queue.labels[at], kinds)
        return out
