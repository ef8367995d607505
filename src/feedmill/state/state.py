"""State: everything the log says, folded."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from threading import Lock, RLock

import msgspec
import numpy as np

from feedmill.core.batches import LANES, ProbeBatch, Rows, Times, UserColumns
from feedmill.core.config import convert
from feedmill.core.errors import ArtifactError, ConfigError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.progress import console
from feedmill.core.progress import progress as progress_bar
from feedmill.core.protocols import EventLog
from feedmill.state import fold, kernel, match, prepare, scrub, snapshot, stored
from feedmill.state.arrays import BLOCK_OF, N_SEEN, Answers, Doubles, Probes, Scratch
from feedmill.state.attributes import Attributes
from feedmill.state.catalogue import Catalogue
from feedmill.state.config import FOREVER, StateConfig
from feedmill.state.ids import IdMap
from feedmill.state.probed import Probed
from feedmill.state.tables import Tables

BASE = "base"  # in the folder of snapshots: the state at the start of a log that begins later than at 0
CHUNK = 262_144  # events folded at a time while catching up: the lock is let go in between
WORTH_SHOWING = 500_000  # events to catch up with before there is a progress bar


class State:
    """Histories, counters and catalogue as arrays by row, derived from the log alone.

    However a log is cut into batches, the same events give the same state, bit for bit, and the same answers.
    Every method may be called from any thread; what needs several calls to agree takes ``lock`` around them.

    Attributes:
        users, items: rows by id.
        queries: rows by text of what has been searched for; ``queries.id(row)`` is the text.
        count_names: of the counters in the order of their columns, such as "click.1d".
        catalogue: what items and users are.
        offset: events folded.
        epoch: of the log, as far as its erasures are done here.
        newest_ms: the latest time among them, 0 if there are none.
        lock: held while folding, and while reading what a fold would change.
        tables, attributes, last_event: how it is kept; nothing outside this folder reads them.
    """

    def __init__(self, config: StateConfig | None = None) -> None:
        self.config = config or StateConfig()
        self.count_names = self.config.count_names
        self.users, self.items = IdMap(), IdMap()
        self.queries = IdMap(most=self.config.max_queries)
        self.offset, self.epoch, self.newest_ms, self.lock = 0, 0, 0, RLock()
        self.attributes = {of: Attributes(of, self.config.max_attributes) for of in ("item", "user")}
        self.tables = Tables(self.config)
        self.catalogue = Catalogue(self.tables, self.attributes["item"], self.attributes["user"])
        self.last_event: EventBatch | str = ""
        self._plan, self._saving = self.config.plan(), Lock()

    @property
    def settings_hash(self) -> str:
        """What is counted and kept, as a hash: models trained on one state must be served with its like."""
        return hashlib.sha256(msgspec.json.encode(self.config, order="deterministic")).hexdigest()[:16]

    def fold(
        self, events: EventBatch, probes: ProbeBatch | None = None, lanes: Collection[str] = tuple(LANES)
    ) -> Probed | None:
        """Fold the events, which follow the last ones in the log, and answer the probes on the way.

        Args:
            probes: rows must be those of this log; a row that has not appeared yet is unknown.
            lanes: histories to hand out; others come back empty and cost no memory. R requests with all of
                them take 72 R history_len bytes, so probe by the hundred thousand.

        Returns:
            The probes' answers; None without probes.

        Raises:
            DataError: the probes are not well formed; nothing was folded.
        """
        asked, wanted = prepare.probes(probes, len(events)), prepare.lane_mask(lanes)
        with self.lock:
            columns = prepare.columns(events, self.users, self.items, self.queries)
            changes = prepare.changes(events, columns, self.catalogue)
            self.tables.reserve(stored.sizes(self), len(events))
            out, room = self._answers(asked, with_facts=True), self._scratch()
            kernel.run(self.tables.arrays, self._plan, columns, changes, asked, wanted, out, room)
            self._note(events, columns.time_ms)
        if probes is None:
            return None
        return prepare.probed_of(prepare.users_of(asked, out), asked, out, self.count_names)

    def register(self, events: EventBatch) -> None:
        """Give every id and query of these events its row, in order, without folding them: rows then agree with a state
        that folds all of them, though this one may fold only a part (a training split)."""
        with self.lock:
            prepare.columns(events, self.users, self.items, self.queries)
            self.tables.reserve(stored.sizes(self))

    def view(self, user_id: str, time_ms: int, context: Mapping[str, str] | None = None) -> UserColumns:
        """What is known of one user (R = 1) now, as of ``time_ms``; row 0 and zeros for one never seen.

        Args:
            context: what the request says of the user, such as device and network: it stands for the attributes of
                these names, a value that nobody has had before being unknown. Other names do nothing.
        """
        with self.lock:
            asked = prepare.one(self.users.row(user_id), time_ms)
            out, room = self._answers(asked), self._scratch()
            kernel.run(
                self.tables.arrays,
                self._plan,
                prepare.NO_EVENTS,
                prepare.NO_CHANGES,
                asked,
                prepare.ALL_LANES,
                out,
                room,
            )
            for name, code in self.attributes["user"].codes(context or {}):
                out.profile[0, name] = code
        return prepare.users_of(asked, out)

    def news(self, user_id: str, context: Mapping[str, str]) -> dict[str, str]:
        """Which of these attributes of a user the log does not say already."""
        with self.lock:
            row, known = self.users.row(user_id), self.attributes["user"]
            codes = {n: int(self.catalogue.user_codes(n)[row]) for n in context if n in known.names}
            return {n: v for n, v in context.items() if not row or n not in codes or known.text(n, codes[n]) != v}

    def probe(self, user: UserColumns, items: Rows) -> Probed:
        """Candidates int32[C] for one user (R = 1), with the histories and the time that ``user`` has.

        Raises:
            DataError: more than one user, or a user of another state.
        """
        asked = prepare.candidates(user, items)
        with self.lock:
            out, room = self._answers(asked), prepare.given(user, self._scratch(), len(self.items))
            who, now = int(user.row[0]), int(user.time_ms[0])
            match.match(self.tables.arrays, self._plan, who, now, asked.item, out, room, 0)
        return prepare.probed_of(user, asked, out, self.count_names)

    def seen(self, user_row: int) -> Rows:
        """int32[n] ascending: items the user has ever acted on (clicked, watched, liked, disliked …), not merely
        been shown."""
        with self.lock:
            if not 0 < user_row < self.tables.sizes.users:
                return np.zeros(0, np.int32)
            arrays = self.tables.arrays
            rows = np.empty(arrays.heads[user_row, N_SEEN], np.int32)
            fold.actions(arrays.seen, int(arrays.heads[user_row, BLOCK_OF]), rows)
        return np.unique(rows)

    def totals(self, name: str, rows: Rows) -> Doubles:
        """float64[n] of an undecayed counter of item rows, such as "impression.all"; 0 for rows that do not exist.

        Raises:
            ConfigError: the state does not keep it.
        """
        if name not in self.count_names or not name.endswith(f".{FOREVER}"):
            totals = [n for n in self.count_names if n.endswith(f".{FOREVER}")]
            raise ConfigError(f'the state keeps no total "{name}"', f"one of {totals}", f'add "{name}" to state.counts')
        sums = self.tables.arrays.item_sums[: self.tables.sizes.items, self.count_names.index(name)]
        known = (rows > 0) & (rows < len(sums))
        return np.where(known, sums[np.where(known, rows, 0)], 0.0)

    def decayed(self, name: str, rows: Rows, time_ms: int) -> Doubles:
        """float64[n] of a counter of item rows, such as "impression.1d", as of ``time_ms`` (of an item's newest event
        if that is later); 0 for rows that do not exist. Divided by the window's seconds it is a rate.

        Raises:
            ConfigError: the state does not keep it.
        """
        if name not in self.count_names:
            raise ConfigError(f'the state keeps no counter "{name}"', f"one of {list(self.count_names)}",
                              f'add "{name}" to state.counts')  # fmt: skip
        column, epoch = self.count_names.index(name), int(self._plan.epoch_ms[0])
        with self.lock:
            known = np.where((rows > 0) & (rows < self.tables.sizes.items), rows, 0)
            newest, sums = self.tables.arrays.item_ms[known], self.tables.arrays.item_sums[known, column]
        since = newest - newest % epoch  # what the sums count from, see fold.py
        passed = np.maximum(time_ms, newest) - since
        return np.where(sums > 0, sums * np.exp(-np.where(sums > 0, passed, 0) * self._plan.rate[column]), 0.0)

    def catch_up(self, log: EventLog, progress: bool = True) -> int:
        """Fold what the log has after ``offset``; returns how many events that were. Several threads may call it.

        Args:
            progress: show a bar if there is much to do.

        Raises:
            LogError: the log cannot be read, or is shorter than what has been folded.
        """
        start = self.offset
        many = progress and log.end - start > WORTH_SHOWING
        with progress_bar("folding the log", log.end - start) if many else nullcontext(lambda n: None) as advance:
            while True:
                at = self.offset
                batch, _ = log.read(at, CHUNK)
                if log.epoch != self.epoch:  # after reading: who has come back since is another, with a new row
                    self.keep_up(log)
                    continue
                if not len(batch):
                    return self.offset - start
                with self.lock:
                    if self.offset == at:
                        self.fold(batch)
                        advance(len(batch))

    def keep_up(self, log: EventLog) -> list[str]:
        """Let go of the people that the log has forgotten since; their ids, which are unknown from now on.

        Raises:
            LogError: the log cannot be read.
        """
        with self.lock:
            if log.epoch == self.epoch:
                return []
            gone = scrub.erase(self, log.erasures(self.epoch))
            if self.offset > log.start:
                self.last_event = log.read(self.offset - 1, 1)[0]
            return gone

    def save(self, folder: Path) -> Path:
        """Write a snapshot under ``folder`` and delete earlier ones; returns its place. Folds wait only while the
        arrays are copied, and what is written is one moment of the log, whole."""
        with self._saving:  # one at a time, so that an earlier moment never replaces a later one
            with self.lock:
                offset, content = self.offset, stored.content(self)
            return snapshot.write(folder, offset, content)

    def copy(self) -> State:
        """Another state that is as this one is now."""
        with self.lock:
            content = stored.content(self)
        other = State(self.config)
        stored.fill(other, content)
        return other

    @classmethod
    def load(cls, folder: Path, config: StateConfig | None = None) -> State:
        """The newest snapshot under ``folder``.

        Args:
            config: what the state is to keep; None takes the snapshot's.

        Raises:
            ArtifactError: there is none, it is damaged, or it was made with another config.
        """
        place = snapshot.newest(folder)
        if place is None:
            raise ArtifactError(f"no snapshot in {folder}", "a folder that State.save wrote", "replay the log")
        found = snapshot.read(place)
        kept = convert(found.about["config"], StateConfig)
        if config is not None and config != kept:
            raise ArtifactError(f"{place} was made with other [state] settings", "the current ones", snapshot.REPLAY)
        state = cls(kept)
        stored.fill(state, found)
        return state

    @classmethod
    def restore(cls, folder: Path, log: EventLog, config: StateConfig | None = None, progress: bool = True) -> State:
        """The state at the end of the log: from the newest snapshot if it can be used, else from the log's start.

        A snapshot that cannot be used is reported on stderr; it costs time, never events.

        Raises:
            ArtifactError: neither can the one at the start of a log whose first events were dropped.
        """
        state = None
        if snapshot.newest(folder) is not None:
            try:
                state = cls._stored(folder, log, config)
            except ArtifactError as e:
                console.print(f"state: {e}\n  replaying the log from its start", markup=False)
        if state is None:
            state = cls.at_start(folder, log, config)
        state.catch_up(log, progress)
        return state

    @classmethod
    def at_start(cls, folder: Path, log: EventLog, config: StateConfig | None = None) -> State:
        """The state before the first event that the log still has: empty, or as it was kept when others were dropped.

        Raises:
            ArtifactError: it is gone, damaged, or was made with another config.
        """
        if not log.start:
            return cls(config)
        try:
            return cls._stored(folder / BASE, log, config)
        except ArtifactError as e:
            fix = "put the [state] settings back if they have changed; else bring the folder or the log from a copy"
            expected = f"the state at event {log.start}, where the log starts; {e.expected}"
            raise ArtifactError(e.given, expected, fix) from None

    @classmethod
    def _stored(cls, folder: Path, log: EventLog, config: StateConfig | None) -> State:
        state = cls.load(folder, config or StateConfig())
        stored.check_is_of(state, log)
        state.keep_up(log)
        return state

    def warm(self) -> None:
        """Compile all that serving calls, or load it from the compiler's cache, on a state that is thrown away."""
        other, topics = State(self.config), '{"topics": ["t"]}'
        other.fold(
            EventBatch.of({"kind": [Kind.ITEM, Kind.CLICK], "user_id": "u", "item_id": "i", "payload": [topics, ""]})
        )
        other.probe(other.view("u", 0), np.array([1], np.int32))
        other.seen(1)

    def _answers(self, asked: Probes, *, with_facts: bool = False) -> Answers:
        return prepare.answers(
            len(asked.user),
            len(asked.item),
            self.tables.sizes,
            self.config.history_len,
            len(self.count_names),
            with_pairs=self.config.user_topics > 0,
            with_facts=with_facts,
        )

    def _scratch(self) -> Scratch:
        return prepare.scratch(self.tables.sizes, self.config.history_len, self._plan)

    def _note(self, events: EventBatch, time_ms: Times) -> None:
        if len(events):
            newest = int(time_ms.max())
            self.newest_ms = max(self.newest_ms, newest) if self.offset else newest
            self.offset += len(events)
            self.last_event = events if len(events) == 1 else events.take(np.array([len(events) - 1]))
