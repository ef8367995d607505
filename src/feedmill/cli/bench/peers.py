"""Other libraries on the same pairs: each in a process of its own, which may take its time but not for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedmill.core.batches import Rows
from feedmill.core.progress import progress
from feedmill.serve.full_ranking import Task

LIMIT_S = 900.0
SCRIPT = Path(__file__).with_name("peers_run.py")
NOT_INSTALLED = 3  # the exit of the script where an import fails; it prints the name


@dataclass(frozen=True, slots=True)
class Peer:
    """A library's recommender: where it comes from, and whether it is done within seconds on a small split."""

    package: str
    is_quick: bool = True


PEERS: dict[str, Peer] = {
    "implicit cosine": Peer("implicit"),
    "implicit TF-IDF": Peer("implicit"),
    "implicit BM25": Peer("implicit"),
    "implicit ALS": Peer("implicit", is_quick=False),
    "sparse_dot_topn cosine": Peer("sparse_dot_topn"),
    "recfarm Swing": Peer("recfarm", is_quick=False),
    "recfarm ItemCF": Peer("recfarm", is_quick=False),
    "EASE in NumPy": Peer("scipy", is_quick=False),
}


@dataclass(frozen=True, slots=True, eq=False)
class PeerAnswer:
    """int32[U, k] items of the task's users, without those they had, and the seconds of fitting."""

    item: Rows
    fit_s: float


def python() -> str:
    """The interpreter that has the peers: FEEDMILL_PEERS, or this one."""
    return os.environ.get("FEEDMILL_PEERS") or sys.executable


def told(command: Sequence[str], limit_s: float, env: Mapping[str, str] | None = None) -> tuple[str, str]:
    """What a rival's process printed, and why it did not ("" = it did), in words."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False, env=env)
    except subprocess.TimeoutExpired:
        return "", f"not done in {limit_s:.0f} s"
    said = (done.stderr.strip() or "gave no reason").splitlines()[-1]
    if done.returncode == NOT_INSTALLED:
        return "", f"not installed: {said} (pip install 'feedmill[bench]')"
    return done.stdout, f"failed: {said}" if done.returncode else ""


def run_peer(name: str, task: Task, k: int, limit_s: float = LIMIT_S) -> PeerAnswer | str:
    """What a peer answers, or why it does not, in words."""
    pairs = task.interactions
    with tempfile.TemporaryDirectory() as folder, progress(f"peer {name}"):
        given, made = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, user=pairs.user, item=pairs.item, ask=task.user, n=[pairs.n_users, pairs.n_items, k])
        command = [python(), str(SCRIPT), name, str(given), str(made)]
        _, why_not = told(command, limit_s)
        if why_not:
            return why_not
        with np.load(made, allow_pickle=False) as arrays:
            return PeerAnswer(_unique(arrays["item"]), float(arrays["fit_s"]))


def _unique(item: Rows) -> Rows:
    """A peer that pads with an item of its list is not to gain by it: repeats become nothing."""
    out = np.array(item, np.int32)
    for row in out:
        _, first = np.unique(row, return_index=True)
        repeat = np.ones(len(row), bool)
        repeat[first] = False
        row[repeat] = 0
    return out
