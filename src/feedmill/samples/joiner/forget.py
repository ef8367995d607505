"""Taking people out of samples: their rows stay, as nobody's."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feedmill.core.workspace import Workspace
from feedmill.samples.joiner import checkpoint, parts
from feedmill.samples.joiner.run import alone, disk, folder_of
from feedmill.state.found import is_named


def forget(workspace: Workspace, user_ids: Collection[str]) -> int:
    """Blank these people's ids in every stored sample and in checkpoints; how many rows had them.

    What was shown to them and what came of it stays, so that counts, rates and the joiner's state hold. Repeating it
    changes nothing, so what a crash interrupted is done by doing it again. The log itself is forgotten elsewhere, and
    before this: what is joined later has nothing of them.

    Raises:
        WorkspaceError: a joiner runs, or the disk takes nothing.
        ArtifactError: a checkpoint cannot be read; delete it.
    """
    folder, n = folder_of(workspace), 0
    if not folder.is_dir():
        return 0
    with alone(folder), disk(folder):
        for path in sorted(folder.glob("day=*/part-*.parquet")):
            n += _in_part(path, user_ids)
        for path in checkpoint.stored(folder / "checkpoints"):
            state = checkpoint.read(path)
            texts, n_theirs = blanked(pa.Table.from_batches([state.texts]), user_ids)
            if n_theirs:
                (batch,) = texts.combine_chunks().to_batches()
                checkpoint.write(path.parent, msgspec.structs.replace(state, texts=batch))
            n += n_theirs
    return n


def _in_part(path: Path, user_ids: Collection[str]) -> int:
    table, n_theirs = blanked(pq.read_table(path, partitioning=None), user_ids)
    if n_theirs:
        parts.store(path, table)
    return n_theirs


def blanked(table: pa.Table, user_ids: Collection[str]) -> tuple[pa.Table, int]:
    """The rows with these people's user ids empty, and request ids too that are made of them; how many there were."""
    theirs = pc.is_in(table["user_id"], value_set=pa.array(sorted(user_ids), pa.string()))
    n = int(pc.sum(theirs).as_py() or 0)
    if not n:
        return table, 0
    columns = (column.to_pylist() for column in (theirs, table["user_id"], table["request_id"]))
    named = [is_theirs and is_named(user, request) for is_theirs, user, request in zip(*columns, strict=True)]
    for name, mask in (("user_id", theirs), ("request_id", pa.chunked_array([pa.array(named, pa.bool_())]))):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), pc.if_else(mask, "", table[name]))
    return table, n
