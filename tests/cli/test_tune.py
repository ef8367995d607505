from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta
from typer.testing import Result

from feedmill.cli import tune
from feedmill.cli.tune_space import SPACES, OneOf, Range, parsed, space_of
from feedmill.cli.tune_trial import Judge, Trial
from feedmill.core.clock import rng
from feedmill.core.config import Config, convert
from feedmill.core.errors import ConfigError, DataError
from feedmill.core.events import EventBatch
from feedmill.core.workspace import Workspace
from feedmill.log.whole import open_log
from feedmill.retrieval import CHANNELS
from feedmill.samples.splits import EvaluateConfig, split
from feedmill.state import Replay, State
from worlds import tastes

Run = Callable[..., Result]
CONFIG = """
[retrieval.channels.itemcf]
limit = 30
top_k = 1
[retrieval.channels.two_tower]
kind = "vector"
[train.two_tower]
embedding_dim = 4
hidden_dims = [4]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    workspace = Workspace.create(tmp_path / "shop", CONFIG)
    log = open_log(workspace)
    log.append(tastes())
    log.close()
    return workspace


@given(st.floats(0.001, 10), st.floats(1, 1000), st.booleans(), st.integers(0, 50))
def test_draws_stay_in_their_range(low: float, factor: float, log: bool, seed: int) -> None:
    value = Range(low, low * factor, log).draw(rng(seed))
    assert low <= value <= low * factor


def test_draws_by_factors_are_even_in_the_logarithm_and_whole_where_they_have_to_be() -> None:
    random, wide = rng(0), Range(1, 10_000, log=True, whole=True)
    values = [wide.draw(random) for _ in range(2000)]
    assert all(isinstance(v, int) for v in values)
    assert 0.45 < np.mean(np.array(values) <= 100) < 0.55


@pytest.mark.parametrize("kind", [k for k in SPACES if k != "model"])
def test_every_range_of_the_tables_is_allowed_by_the_config(kind: str) -> None:
    cls = CHANNELS[kind]
    space = space_of(kind, cls.Config)  # type: ignore[attr-defined]
    assert set(space) == set(SPACES[kind])
    for name, values in space.items():
        ends = values.values if isinstance(values, OneOf) else (values.low, values.high)
        for value in ends:
            convert({name: int(value) if isinstance(values, Range) and values.whole else value}, cls.Config)  # type: ignore[attr-defined]


class Foreign(Config, frozen=True):
    """A channel of another package."""

    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    depth: Annotated[int, Meta(ge=1, le=1000)] = 10
    mode: Literal["a", "b"] = "a"
    fast: bool = True
    open_ended: Annotated[float, Meta(ge=0)] = 1.0


def test_a_kind_without_a_table_is_searched_within_its_own_bounds() -> None:
    space = space_of("foreign", Foreign)
    assert set(space) == {"share", "depth", "mode", "fast"}
    assert space["depth"] == Range(1, 1000, log=True, whole=True)
    assert space["mode"] == OneOf(("a", "b"))
    for seed in range(20):
        convert({k: v.draw(rng(seed)) for k, v in space.items()}, Foreign)


def test_ranges_are_given_in_words() -> None:
    known = SPACES["itemcf"]
    assert parsed("top_k=50..80", known) == ("top_k", Range(50, 80, log=True, whole=True))
    assert parsed("norm=count,weighted", known) == ("norm", OneOf(("count", "weighted")))
    assert parsed("scale_rows=true", known) == ("scale_rows", OneOf((True,)))
    for bad in ("top_k", "top_k=9..3", "top_k=a..b"):
        with pytest.raises(ConfigError, match="--range"):
            parsed(bad, known)


def test_settings_differ_and_the_seed_repeats_them() -> None:
    space = {"x": OneOf((1, 2, 3))}
    assert len(tune.settings_of(space, 9, 0)) == 1 + 3  # as configured, and all there are
    assert tune.settings_of(SPACES["itemcf"], 5, 1) == tune.settings_of(SPACES["itemcf"], 5, 1)
    assert tune.settings_of(SPACES["itemcf"], 5, 1) != tune.settings_of(SPACES["itemcf"], 5, 2)


@pytest.mark.parametrize("protocol", ["last_item", "global_time", "none"])
def test_the_test_is_not_touched(protocol: str, tmp_path: Path) -> None:
    text = f'{CONFIG}\n[evaluate]\nsplit = "{protocol}"\nshare = 0.3\n'
    workspace, events = Workspace.create(tmp_path / "shop", text), tastes()
    judge = Judge(workspace, "itemcf", Replay(events, State()), 0)
    real = split(events, workspace.section("evaluate", EvaluateConfig))

    def rows(of: EventBatch, at: np.ndarray) -> set[tuple[object, ...]]:
        taken = of.table.take(at)
        return set(zip(*(taken.column(c).to_pylist() for c in ("user_id", "item_id", "time_ms")), strict=True))

    assert not rows(events, real.test) & rows(judge.replay.events, np.arange(len(judge.replay.events)))
    assert rows(judge.replay.events, judge.held.test) <= rows(events, np.flatnonzero(real.train))


def test_the_best_setting_is_found_and_printed_to_be_pasted(shop: Workspace, run: Run, tmp_path: Path) -> None:
    figures = tmp_path / "tune.json"
    done = run(
        *("tune", "itemcf", "--dir", shop.path, "--trials", 2, "--range", "top_k=1,40", "--json", figures),
    )
    assert done.exit_code == 0, done.output
    pasted = done.stdout[done.stdout.index("[retrieval.channels.itemcf]") :]
    found = tomllib.loads(pasted)["retrieval"]["channels"]["itemcf"]
    assert found == {"limit": 30, "top_k": 40}  # the best of top_k, and what was configured besides
    assert "as configured" in done.output
    stored = msgspec.json.decode(figures.read_bytes())
    assert {row["metric"] for row in stored} == {"NDCG@10", "Recall@50"}
    assert stored[0]["what"] == "itemcf: top_k = 40"
    assert "top_k = 1\n" in (shop.path / "feedmill.toml").read_text()  # the file is the user's


def test_what_was_found_is_kept_on_ctrl_c(shop: Workspace, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, real = [], Judge.try_

    def interrupted(self: Judge, changes: dict[str, object], n_users: int) -> Trial:
        if len(tried) == 2:
            raise KeyboardInterrupt
        tried.append(changes)
        return real(self, changes, n_users)

    monkeypatch.setattr(Judge, "try_", interrupted)
    done = run("tune", "itemcf", "--dir", shop.path, "--trials", 9)
    assert done.exit_code == 130
    assert "NDCG@10" in done.output
    assert "stopped" in done.output


def test_many_users_make_two_rounds(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "FEW_USERS", 10)
    judge = Judge(shop, "itemcf", Replay(tastes(), State()), 0)
    done = list(tune.search(judge, tune.settings_of({"last_n": Range(1, 50, whole=True)}, 5, 0)))
    first, second = done[:6], done[6:]
    assert {t.n_users for t in first} == {10}
    assert len(second) == 3  # as configured, and the best third
    assert second[0].changes == {}
    assert tune.final(done) == sorted(second, key=lambda t: -t.score)


@pytest.mark.slow
def test_a_model_is_searched_in_its_own_section(shop: Workspace) -> None:
    judge = Judge(shop, "two_tower", Replay(tastes(), State()), 0)
    assert judge.block == "train.two_tower"
    assert {"learning_rate", "epochs", "temperature", "embedding_dim"} <= set(judge.space())
    trial = judge.try_({"epochs": 1, "learning_rate": 0.01}, 20)
    assert trial.n_users == 20
    assert tune.toml(judge, trial).startswith("[train.two_tower]\nembedding_dim = 4\nhidden_dims = [4]\nepochs = 1")


def test_what_cannot_be_tuned_is_named(shop: Workspace) -> None:
    with pytest.raises(ConfigError, match="itemfc"):
        Judge(shop, "itemfc", Replay(tastes(), State()), 0)
    with pytest.raises(DataError, match="nothing is left"):
        Judge(shop, "itemcf", Replay(tastes(4, 6, 2), State()), 0)
