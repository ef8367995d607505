"""Other libraries' two towers on arrays that the bench wrote: run by a Python that has them; nothing of ours in it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

Vectors = dict[str, Any]


def main(peer: str, folder: Path) -> None:
    """Read ``task.json`` and ``task.npz`` of a folder, train, and leave ``peer.json`` and ``peer.npz`` there."""
    import numpy as np

    task = json.loads((folder / "task.json").read_text("utf-8"))
    with np.load(folder / "task.npz") as arrays:
        seconds, vectors = PEERS[peer](task, dict(arrays))
    np.savez(folder / "peer.npz", **vectors)
    (folder / "peer.json").write_text(json.dumps({**seconds, "version": version(peer)}), "utf-8")


def timed(fit: Any) -> dict[str, float]:
    """Seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    fit()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def rechub(task: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, float], Vectors]:
    """DSSM with the trainer of its examples."""
    import numpy as np
    from torch_rechub.models.matching import DSSM  # type: ignore[import-not-found, unused-ignore]
    from torch_rechub.trainers import match_trainer  # type: ignore[import-not-found, unused-ignore]
    from torch_rechub.utils.data import MatchDataGenerator  # type: ignore[import-not-found, unused-ignore]

    match_trainer.torch.manual_seed(task["seed"])
    user, item, label = arrays["user"], arrays["item"], np.ones(len(arrays["user"]), np.float32)
    if not task["in_batch"]:  # its other mode: three uniform negatives for each positive
        n = 3 * len(user)
        drawn = np.random.default_rng(task["seed"]).integers(1, len(arrays["items"]), n)
        user, item = np.vstack([user, np.repeat(user, 3, axis=0)]), np.vstack([item, arrays["items"][drawn]])
        label = np.concatenate([label, np.zeros(n, np.float32)])
    shape = {"dims": task["hidden_dims"], "activation": "relu"}
    model = DSSM(*_features(task), shape, shape, temperature=task["temperature"])
    x = {**_columns(task, "user", user), **_columns(task, "item", item)}
    asked, every = _columns(task, "user", arrays["users"]), _columns(task, "item", arrays["items"])
    n_rows = task["batch_size"] * (1 if task["in_batch"] else 4)  # as many positives in a step
    train, *loaders = MatchDataGenerator(x, label).generate_dataloader(asked, every, n_rows, num_workers=0)
    with tempfile.TemporaryDirectory() as made:
        trainer = match_trainer.MatchTrainer(
            model,
            mode=0,
            in_batch_neg=task["in_batch"],
            optimizer_params={"lr": task["learning_rate"], "weight_decay": 1e-5},
            n_epoch=task["epochs"],
            model_path=made,
        )
        seconds = timed(lambda: trainer.fit(train))
        sides = zip(("user", "item"), loaders, strict=True)
        return seconds, {s: trainer.inference_embedding(model, s, loader, made).numpy() for s, loader in sides}


def _features(task: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Tables as ours: the first field of a table owns it, the others share it."""
    from torch_rechub.basic import features  # type: ignore[import-not-found, unused-ignore]

    owner: dict[str, str] = {}
    sides: dict[str, list[Any]] = {"user": [], "item": []}
    for field in sorted(task["fields"], key=lambda f: f["width"] > 1):
        size = {"vocab_size": task["tables"][field["table"]] + 1, "embed_dim": task["embedding_dim"]}
        size["shared_with"] = owner.get(field["table"])
        owner.setdefault(field["table"], field["name"])
        if field["width"] == 1:
            made = features.SparseFeature(field["name"], **size)
        else:
            made = features.SequenceFeature(field["name"], pooling="mean", padding_idx=0, **size)
        sides[field["side"]].append(made)
    return sides["user"], sides["item"]


def _columns(task: dict[str, Any], side: str, ids: Any) -> dict[str, Any]:
    """One array for each field of a side."""
    columns = {}
    for f in task["fields"]:
        if f["side"] == side:
            wide = ids[:, f["start"] : f["start"] + f["width"]]
            columns[f["name"]] = wide[:, 0] if f["width"] == 1 else wide
    return columns


def librecommender(task: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, float], Vectors]:
    """TwoTower with in-batch softmax, correction for popularity, mask for accidental hits. It has no histories."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import pandas as pd  # type: ignore[import-not-found, import-untyped, unused-ignore]
    from libreco.algorithms import TwoTower  # type: ignore[import-not-found, unused-ignore]
    from libreco.data import DatasetFeat  # type: ignore[import-not-found, unused-ignore]

    frame: dict[str, Any] = {"user": arrays["user_row"], "item": arrays["item_row"], "label": 1.0}
    single: dict[str, list[str]] = {"user": [], "item": []}
    several = []
    for f in task["fields"]:
        if f["source"] in ("user.id", "item.id"):
            continue
        names = [f"{f['name']}_{k}" for k in range(f["width"])]
        frame |= {n: arrays[f["side"]][:, f["start"] + k] for k, n in enumerate(names)}
        single[f["side"]] += names
        several += [names] if len(names) > 1 else []
    flat = [n for names in several for n in names]
    data, info = DatasetFeat.build_trainset(
        pd.DataFrame(frame),
        user_col=single["user"],
        item_col=single["item"],
        sparse_col=[n for names in single.values() for n in names if n not in flat],
        multi_sparse_col=several,
        pad_val=[0] * len(several),
    )
    model = TwoTower(
        "ranking",
        info,
        loss_type="softmax",
        embed_size=task["embedding_dim"],
        norm_embed=True,
        n_epochs=task["epochs"],
        lr=task["learning_rate"],
        batch_size=task["batch_size"],
        use_bn=False,
        hidden_units=task["hidden_dims"],
        temperature=task["temperature"],
        remove_accidental_hits=True,
        seed=task["seed"],
    )
    seconds = timed(lambda: model.fit(data, neg_sampling=True, verbose=0, shuffle=True))
    sizes = {"user": int(arrays["user_row"].max()) + 1, "item": len(arrays["items"])}
    vectors = {side: np.zeros((n, task["hidden_dims"][-1]), np.float32) for side, n in sizes.items()}
    for side, known, made in (
        ("user", info.user2id, model.user_embeds_np),
        ("item", info.item2id, model.item_embeds_np),
    ):
        vectors[side][list(known)] = made[list(known.values())]
    return seconds, {"user": vectors["user"][arrays["asked_row"]], "item": vectors["item"]}


PEERS = {"torch-rechub": rechub, "LibRecommender": librecommender}
NOT_INSTALLED = 3  # the exit where an import fails; the last line of stderr says which

if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except ModuleNotFoundError as e:
        sys.stderr.write(f"{e}\n")
        sys.exit(NOT_INSTALLED)
