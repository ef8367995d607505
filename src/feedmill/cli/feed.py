"""``feedmill serve``, ``recommend`` and ``trace``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from feedmill.cli import show
from feedmill.cli.options import HERE, Dir, Set, workspace, writable
from feedmill.core.errors import DataError
from feedmill.core.logs import configure
from feedmill.core.progress import progress
from feedmill.serve.engine import Engine

PATIENT_MS = 60_000.0  # nobody waits for a page here: every stage may take its time


def serve(folder: Dir = HERE, settings: Set = None) -> None:
    """Serve the feed over HTTP until Ctrl-C."""
    from feedmill.serve.config import ServeConfig
    from feedmill.serve.server import serve as run

    at = workspace(folder, settings)
    configure(at.section("serve", ServeConfig).log)
    run(at)


def recommend(
    user: Annotated[str | None, typer.Argument(help="A user id; unknown users get an answer too.")] = None,
    n: Annotated[int, typer.Option("-n", help="How many items.")] = 10,
    everyone: Annotated[bool, typer.Option("--all", help="Every user the log knows, into --out.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Parquet file for --all.")] = None,
    folder: Dir = HERE,
    settings: Set = None,
) -> None:
    """A user's feed, with what brought each item and why it stands where it stands."""
    if (user is None) == (not everyone):
        raise DataError("no user" if user is None else "a user and --all", "a user id, or --all --out FILE")
    if everyone != (out is not None):
        given = "--all without --out" if everyone else "--out without --all"
        raise DataError(given, "both or neither", "feedmill recommend --all --out recs.parquet")
    writable(out)
    # A batch or a look from the terminal is nobody seeing a feed: it must not count as shown.
    engine = Engine.open(workspace(folder, [*(settings or []), "serve.expose=false"]), exclusive=False)
    try:
        if out is not None:
            n_users, degraded = everybody(engine, n, out)
            typer.echo(f"{n} items for {n_users:,} users in {out}")
            for what, n_of in degraded.most_common():
                typer.echo(f"  {n_of:,} users: {what}")
        else:
            engine.warm()
            show.feed(engine.recommend(str(user), n=n, deadline_ms=PATIENT_MS))
    finally:
        engine.close()


def everybody(engine: Engine, n: int, out: Path) -> tuple[int, Counter[str]]:
    """Write every known user's feed as Parquet: user_id, position, item_id, value.

    Returns:
        the number of users, and how many of them had to do without something, by what it was.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("user_id", pa.string()),
            ("position", pa.int16()),
            ("item_id", pa.string()),
            ("value", pa.float32()),
        ]
    )
    users = engine.state.users.ids()[1:]
    chunk: list[dict[str, object]] = []
    degraded: Counter[str] = Counter()
    with pq.ParquetWriter(out, schema) as writer, progress("recommending", len(users)) as advance:
        for user in users:
            answer = engine.recommend(user, n=n, deadline_ms=PATIENT_MS)
            degraded.update(answer.degraded)
            chunk += [
                {"user_id": user, "position": i.position, "item_id": i.item_id, "value": i.value} for i in answer.items
            ]
            if len(chunk) >= 100_000:
                writer.write_table(pa.Table.from_pylist(chunk, schema))
                chunk = []
            advance(1)
        writer.write_table(pa.Table.from_pylist(chunk, schema))
    return len(users), degraded


def trace(request: Annotated[str, typer.Argument(help="The request_id of a feed.")], folder: Dir = HERE) -> None:
    """How a served feed came about: every stage, its time, what fell out and why."""
    from feedmill.serve.config import ServeConfig
    from feedmill.serve.trace_store import TraceStore

    at = workspace(folder)
    store = TraceStore(at.traces, at.section("serve", ServeConfig).traces)
    try:
        show.trace(store.get(request))
    finally:
        store.close()
