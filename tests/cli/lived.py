"""A workspace whose users were experimented on, as files."""

from __future__ import annotations

from pathlib import Path

from feedmill.cli.bench.experiments.life import Life, launched_life
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log

CONFIG = "[experiments]\nholdout = 0.1\n[experiments.layers.rerank]\nn_buckets = 1000\n[retrieval.channels.popular]\n"


def lived(folder: Path) -> Life:
    """A launched experiment "longer", with its reverse bucket and a holdout."""
    (folder / "feedmill.toml").write_text(CONFIG)
    log = open_log(Workspace.open(folder))
    try:
        return launched_life(log, seed=3, holdout=0.1)
    finally:
        log.close()
