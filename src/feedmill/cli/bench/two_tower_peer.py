"""torch-rechub's DSSM on arrays that the bench wrote: a file that a Python with torch-rechub runs; nothing of ours in it."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    """Read ``task.json`` and ``task.npz`` of a folder, train, and leave ``peer.json`` and ``peer.npz`` there."""
    import numpy as np
    from torch_rechub.models.matching import DSSM  # type: ignore[import-not-found, unused-ignore]
    from torch_rechub.trainers import match_trainer  # type: ignore[import-not-found, unused-ignore]
    from torch_rechub.utils.data import MatchDataGenerator  # type: ignore[import-not-found, unused-ignore]

    task, arrays = json.loads((folder / "task.json").read_text("utf-8")), np.load(folder / "task.npz")
    random = np.random.default_rng(task["seed"])
    match_trainer.torch.manual_seed(task["seed"])
    user, item, label = arrays["user"], arrays["item"], np.ones(len(arrays["user"]), np.float32)
    if not task["in_batch"]:  # its own mode: three uniform negatives for each positive
        n = 3 * len(user)
        drawn = arrays["items"][random.integers(1, len(arrays["items"]), n)]
        user, item = np.vstack([user, np.repeat(user, 3, axis=0)]), np.vstack([item, drawn])
        label = np.concatenate([label, np.zeros(n, np.float32)])
    shape = {"dims": task["hidden_dims"], "activation": "relu"}
    model = DSSM(*_features(task), shape, shape, temperature=task["temperature"])
    x = {**_columns(task, "user", user), **_columns(task, "item", item)}
    asked, every = _columns(task, "user", arrays["users"]), _columns(task, "item", arrays["items"])
    n_rows = task["batch_size"] * (1 if task["in_batch"] else 4)  # as many positives in a step
    train, users, items = MatchDataGenerator(x, label).generate_dataloader(asked, every, n_rows, num_workers=0)
    with tempfile.TemporaryDirectory() as made:
        trainer = match_trainer.MatchTrainer(
            model,
            mode=0,
            in_batch_neg=task["in_batch"],
            optimizer_params={"lr": task["learning_rate"], "weight_decay": 1e-5},
            n_epoch=task["epochs"],
            model_path=made,
        )
        wall, cpu = time.perf_counter(), time.process_time()
        trainer.fit(train)
        told = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        vectors = {
            side: trainer.inference_embedding(model, side, loader, made).numpy()
            for side, loader in (("user", users), ("item", items))
        }
    np.savez(folder / "peer.npz", **vectors)
    (folder / "peer.json").write_text(json.dumps({**told, "version": version("torch-rechub")}), "utf-8")


def _features(task: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """A table for each of ours: the first field of a table owns it, the others share it."""
    from torch_rechub.basic.features import (  # type: ignore[import-not-found, unused-ignore]
        SequenceFeature,
        SparseFeature,
    )

    owner: dict[str, str] = {}
    sides: dict[str, list[Any]] = {"user": [], "item": []}
    for field in sorted(task["fields"], key=lambda f: f["width"] > 1):
        shared = owner.get(field["table"])
        owner.setdefault(field["table"], field["name"])
        size = {"vocab_size": task["tables"][field["table"]] + 1, "embed_dim": task["embedding_dim"]}
        if field["width"] == 1:
            made = SparseFeature(field["name"], shared_with=shared, **size)
        else:
            made = SequenceFeature(field["name"], pooling="mean", shared_with=shared, padding_idx=0, **size)
        sides[field["side"]].append(made)
    return sides["user"], sides["item"]


def _columns(task: dict[str, Any], side: str, ids: Any) -> dict[str, Any]:
    """Its input: an array for each field of one side."""
    fields = [f for f in task["fields"] if f["side"] == side]
    return {
        f["name"]: ids[:, f["start"]] if f["width"] == 1 else ids[:, f["start"] : f["start"] + f["width"]]
        for f in fields
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
