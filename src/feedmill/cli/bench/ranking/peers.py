"""Other libraries' multi-task models on arrays that the bench wrote: `ranking_peers.py NAME FOLDER`.

Run by a Python that has them; nothing of feedmill in it. Each gets what its documentation tells a user to call, with
its defaults but for the sizes, and the same protocol: after every epoch the mean AUC of the validation rows over heads,
and in the end the test rows scored with the best epoch's weights. The labels of the test rows are not in the folder.
"""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

NOT_INSTALLED = 3  # the exit where an import fails; the last line of stderr says which
Task = dict[str, Any]
Arrays = dict[str, Any]
Fit = tuple[Any, Callable[[], None], Callable[[Any], Any]]  # model, one epoch, codes and numbers -> float[n, H]


def main(name: str, folder: Path) -> None:
    """Read ``task.json`` and ``task.npz``, train, and leave ``peer.json`` and ``peer.npz``."""
    import numpy as np

    torch = import_module("torch")  # that of the peers' Python: feedmill's command line itself has no torch
    task = json.loads((folder / "task.json").read_text("utf-8"))
    torch.set_num_threads(task["n_threads"])
    torch.manual_seed(task["seed"])
    with np.load(folder / "task.npz") as stored:
        arrays = dict(stored)
    library, make = PEERS[name]
    with contextlib.redirect_stdout(None):
        told, probs = fitted(make(task, arrays), task, arrays)
    np.savez(folder / "peer.npz", probs=np.asarray(probs, np.float32))
    (folder / "peer.json").write_text(json.dumps({**told, "version": version(library)}), "utf-8")


def fitted(fit: Fit, task: Task, arrays: Arrays) -> tuple[dict[str, list[float]], Any]:
    """Seconds and validation AUC of each epoch, and the test rows by the best of them."""
    model, epoch, predict = fit
    seconds: list[float] = []
    found: list[float] = []
    best = None
    while len(found) < task["epochs"] and len(found) <= task["patience"] + (found.index(max(found)) if found else 0):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
        found.append(mean_auc(arrays["validation_labels"], predict("validation")))
        if found[-1] >= max(found):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return {"epoch_s": seconds, "validation": found}, predict("test")


def mean_auc(labels: Any, probs: Any) -> float:
    """The mean over heads of the chance that a positive is above a negative."""
    import numpy as np
    from sklearn.metrics import roc_auc_score  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return float(np.mean([roc_auc_score(labels[:, h], probs[:, h]) for h in range(labels.shape[1])]))


def rechub(name: str) -> Callable[[Task, Arrays], Fit]:
    """torch-rechub with its multi-task trainer. Its layers have batch normalisation, which cannot be left out."""

    def make(task: Task, arrays: Arrays) -> Fit:
        from torch_rechub.basic import features  # type: ignore[import-not-found, unused-ignore]
        from torch_rechub.models import multi_task  # type: ignore[import-not-found, unused-ignore]
        from torch_rechub.trainers import MTLTrainer  # type: ignore[import-not-found, unused-ignore]
        from torch_rechub.utils.data import DataGenerator  # type: ignore[import-not-found, unused-ignore]

        read = [features.SparseFeature(f"c{i}", n, task["embedding_dim"]) for i, n in enumerate(task["sizes"])]
        read += [features.DenseFeature(f"x{i}") for i in range(task["n_numeric"])]
        kinds = ["classification"] * task["n_heads"]
        net, towers = {"dims": task["hidden_dims"]}, [{"dims": [task["tower_dim"]]} for _ in kinds]
        if name == "MMoE":
            model = multi_task.MMOE(read, kinds, task["n_experts"], net, towers)
        elif name == "PLE":
            model = multi_task.PLE(read, kinds, 1, task["n_own"], task["n_shared"], net, towers)
        else:
            model = multi_task.SharedBottom(read, kinds, net, towers)
        torch, xs = import_module("torch"), _parts(arrays)
        loader, *_ = DataGenerator(xs["train"], arrays["train_labels"]).generate_dataloader(
            x_val=xs["validation"], y_val=arrays["validation_labels"], x_test=xs["test"],
            y_test=xs["test"]["c0"], batch_size=task["batch_size"],
        )  # fmt: skip
        trainer = MTLTrainer(model, kinds, optimizer_params={"lr": task["learning_rate"], "weight_decay": 1e-5})

        def predict(part: str) -> Any:
            model.eval()
            with torch.no_grad():
                return model({k: torch.from_numpy(v) for k, v in xs[part].items()}).numpy()

        return model, lambda: trainer.train_one_epoch(loader), predict

    return make


def deepctr(task: Task, arrays: Arrays) -> Fit:
    """DeepCTR-Torch's MMOE with its own fit, an epoch a call; linear gates, as the others have."""
    from deepctr_torch.inputs import DenseFeat, SparseFeat  # type: ignore[import-not-found, unused-ignore]
    from deepctr_torch.models import MMOE  # type: ignore[import-not-found, unused-ignore]

    read = [SparseFeat(f"c{i}", n, task["embedding_dim"]) for i, n in enumerate(task["sizes"])]
    read += [DenseFeat(f"x{i}", 1) for i in range(task["n_numeric"])]
    heads = [str(h) for h in range(task["n_heads"])]
    model = MMOE(
        read,
        num_experts=task["n_experts"],
        expert_dnn_hidden_units=tuple(task["hidden_dims"]),
        gate_dnn_hidden_units=(),
        tower_dnn_hidden_units=(task["tower_dim"],),
        task_types=["binary"] * len(heads),
        task_names=heads,
        seed=task["seed"],
    )
    torch, xs = import_module("torch"), _parts(arrays)
    model.compile(
        torch.optim.Adam(model.parameters(), lr=task["learning_rate"]), loss=["binary_crossentropy"] * len(heads)
    )

    def epoch() -> None:
        model.fit(dict(xs["train"]), arrays["train_labels"], batch_size=task["batch_size"], epochs=1, verbose=0)

    return model, epoch, lambda part: model.predict(dict(xs[part]), 8192)


def _parts(arrays: Arrays) -> dict[str, Arrays]:
    return {part: _columns(arrays, part) for part in ("train", "validation", "test")}


def _columns(arrays: Arrays, part: str) -> Arrays:
    codes, numbers = arrays[f"{part}_codes"], arrays[f"{part}_numbers"]
    columns = {f"c{i}": codes[:, i] for i in range(codes.shape[1])}
    return columns | {f"x{i}": numbers[:, i] for i in range(numbers.shape[1])}


PEERS: dict[str, tuple[str, Callable[[Task, Arrays], Fit]]] = {
    "torch-rechub MMoE": ("torch-rechub", rechub("MMoE")),
    "torch-rechub shared-bottom": ("torch-rechub", rechub("shared-bottom")),
    "torch-rechub PLE": ("torch-rechub", rechub("PLE")),
    "deepctr-torch MMoE": ("deepctr-torch", deepctr),
}

if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except ModuleNotFoundError as e:
        sys.stderr.write(f"{e}\n")
        sys.exit(NOT_INSTALLED)
