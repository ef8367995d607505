from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from feedmill.cli.main import app
from feedmill.core.events import Kind
from worlds import tastes

SMALL = """
[serve]
clock = "log"
[retrieval.channels]
popular = { limit = 30 }
itemcf = { limit = 30 }
[rank]
kind = "mmoe"
embedding_dim = 4
hidden_dims = [8, 4]
epochs = 1
[train]
n_threads = 1
[samples]
n_negatives = 2
"""
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def run() -> Run:
    """``feedmill`` with these arguments, in this process."""
    return lambda *args: CliRunner().invoke(app, [str(a) for a in args])


def write_events(folder: Path) -> Path:
    """The tastes of the small world as a stranger's CSV, with a mapping file and a table of items beside it."""
    frame = pl.from_arrow(tastes().table)
    assert isinstance(frame, pl.DataFrame)
    acts = frame.filter(pl.col("kind") == int(Kind.CLICK)).with_row_index()
    acts.select(
        who="user_id",
        what="item_id",
        at=pl.col("time_ms") // 1000,
        stars=pl.when(pl.col("index") % 2 == 0).then(5).otherwise(2),
    ).write_csv(folder / "acts.csv")
    items = frame.filter(pl.col("kind") == int(Kind.ITEM)).with_columns(
        pl.col("payload").str.json_path_match("$.title")
    )
    items.select(id="item_id", name="payload").write_csv(folder / "items.csv")
    (folder / "map.toml").write_text(
        '[events]\nuser = "who"\nitem = "what"\ntime = "at"\ntime_unit = "s"\nkind = "click"\nvalue = "stars"\n'
        '[[events.also]]\nkind = "like"\ncolumn = "stars"\nat_least = 4\n'
        '[items]\nfile = "items.csv"\nitem = "id"\ntitle = "name"\n'
    )
    return folder / "acts.csv"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A workspace that has been through ingest and train."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "feedmill.toml").write_text(SMALL)
    events = write_events(folder)
    ingested = run("ingest", events, "--map", folder / "map.toml", "--dir", folder)
    assert ingested.exit_code == 0, ingested.output
    result = run("train", "--dir", folder, "--json", folder / "figures.json")
    assert result.exit_code == 0, result.output
    return folder
