"""The rows that a night learns from.

Impressions come from the joiner as soon as it has any: each once all of its windows have closed, with the labels that
it then has for good. A log without impressions, or one that nobody joins, gives its rows itself, up to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from feedmill.core.batches import SampleBatch
from feedmill.core.errors import DataError
from feedmill.core.workspace import Workspace
from feedmill.samples import SamplesConfig, sample
from feedmill.samples.down_sampling import newest, taken
from feedmill.samples.guard import Verdict
from feedmill.samples.joiner import parts
from feedmill.samples.joiner.run import folder_of, stored
from feedmill.samples.rows import is_shown
from feedmill.samples.watch_seconds import WATCH_HEAD
from feedmill.state import Replay, State
from feedmill.train.update.joined import joined


def rows_of_night(
    workspace: Workspace,
    replay: Replay,
    state: State,
    verdict: Verdict | None,
    begin: int,
    heads: Sequence[str],
    seed: int,
) -> tuple[SampleBatch, int]:
    """Rows of what was shown or chosen from offset ``begin`` on, and the offset before which none is still to come.

    Args:
        replay: the whole log; probes count places in its events.
        state: with rows for its ids.
        verdict: of the guard; what closed after it has judged is left to the next night.
        heads: that there shall be, beside those that the log has positives of.

    Raises:
        DataError: no window has closed since.
    """
    config = workspace.section("samples", SamplesConfig, drop=["interest", "join", "guard"])
    if not (is_shown(replay.events, config) and parts.days(folder_of(workspace))):
        return since(begin, replay, state, config, seed, heads), replay.end
    stop = min(stored(workspace), verdict.offset if verdict is not None else 0, replay.end)
    begin = max(begin, replay.start)
    rows = pc.field("is_complete") & (pc.field("offset") >= begin)
    tables = [table.filter(rows) for table in parts.closed(folder_of(workspace), begin, stop)]
    if not any(table.num_rows for table in tables):
        raise DataError(
            f"0 requests since offset {begin:,} whose windows have closed",
            "enough to learn from",
            "wait for more events; let feedmill join run meanwhile, or delete samples/ to learn from the log alone",
        )
    table = pa.concat_tables(tables)
    upto = int(pc.max(table["offset"]).as_py()) + 1  # windows close in the order of the log, so none before is missing
    samples = joined(table, replay.events, replay.start, state, config, seed)
    return newest(samples, config.max_requests), upto


def since(
    offset: int, replay: Replay, state: State, config: SamplesConfig, seed: int, heads: Sequence[str] = ()
) -> SampleBatch:
    """The log's own rows of requests from an offset on, as ``feedmill train`` makes them.

    Args:
        heads: that there shall be, beside those that the log has positives of; 0 in all rows, and known to be, for the
            log would tell.
    """
    samples, _ = sample(replay.events, state, structs.replace(config, min_positives=1), seed)
    absent = [h for h in heads if h not in samples.heads and h != WATCH_HEAD]
    zeros = np.zeros((len(samples), len(absent)), np.float32)
    samples = replace(
        samples,
        labels=np.hstack([samples.labels, zeros]),
        mask=np.hstack([samples.mask, zeros == 0]),
        heads=(*samples.heads, *absent),
    )
    return taken(samples, samples.probe.at[samples.probe.request_of] + replay.start >= offset)
