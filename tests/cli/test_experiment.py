"""``feedmill experiment`` as somebody meets it who runs one: from an empty layer to a launch that is taken back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from cli.conftest import Run
from feedmill.core.errors import ConfigError, NotFoundError, WorkspaceError
from feedmill.log.sqlite import SqliteLog
from worlds import tastes

CONFIG = """
[serve]
clock = "log"
[retrieval.channels]
popular = { limit = 30 }
[[rerank.rules]]
kind = "mmr"
theta = 0.9
[experiments]
holdout = 0.1
[experiments.layers.retrieval]
[experiments.layers.rerank]
n_buckets = 100
[experiments.defined.spread]
layer = "rerank"
why = "More variety keeps people longer."
[experiments.defined.spread.arms.control]
buckets = [[0, 20]]
[experiments.defined.spread.arms.varied]
share = 0.2
set = { "rerank.rules.0.theta" = 0.5 }
"""
OTHER = """
layer = "rerank"
[arms.control]
share = 0.1
[arms.fewer]
share = 0.1
set = { "retrieval.limit" = 20 }
"""
Say = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with a log, without a model."""
    (tmp_path / "feedmill.toml").write_text(CONFIG)
    (tmp_path / "other.toml").write_text(OTHER)
    log = SqliteLog(tmp_path / "log.sqlite")
    log.append(tastes())
    log.close()
    return tmp_path


@pytest.fixture
def ask(folder: Path, run: Run) -> Callable[..., Result]:
    return lambda *words: run("experiment", *words, "--dir", folder)


@pytest.fixture
def say(ask: Callable[..., Result]) -> Say:
    """What a command says, in one line; it has to go well."""

    def said(*words: object) -> str:
        result = ask(*words)
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    return said


def test_a_life_from_the_definition_to_the_end(say: Say) -> None:
    before = say("list")
    assert "holdout 10 % of the users, period 1" in before
    assert "defined, not created: spread" in before
    assert "created spread in layer rerank: control 20 %, varied 20 %" in say("create", "spread", "--by", "ann")
    assert "spread 40 % (created), · free 60 % of 100 buckets" in say("list")
    assert "spread runs" in say("start", "spread", "--note", "on a Monday")
    shown = say("show", "spread")
    for word in ("is running", "More variety", "rerank.rules.0.theta = 0.5", "ann", "on a Monday", "UTC"):
        assert word in shown
    launched = say("roll-out", "spread", "--reverse", 0.05)
    assert "varied for everyone but the holdout of period 1 and 5 % of the users, who keep what control had" in launched
    assert "varied for everyone but the holdout of period 1" in say("close", "spread")
    assert "2 % of the users" in say("reverse", "spread", 0.02)
    assert "period 2 has 20 % of the users" in say("end-holdout", "--share", 0.2)
    assert "taken back" in say("stop", "spread")
    assert "closed" in say("close", "spread")
    told = say("history")
    for step in ("create", "start", "roll_out", "close", "reverse", "end_holdout", "stop"):
        assert step in told


def test_a_definition_of_a_file_of_its_own(say: Say, folder: Path) -> None:
    assert "created fewer in layer rerank" in say("create", "fewer", "--from", folder / "other.toml")
    assert "fewer 20 % (created)" in say("list")
    assert "is stopped" in (say("start", "fewer"), say("stop", "fewer"))[1]


def test_assign_says_what_a_user_gets_and_why(say: Say) -> None:
    assert "gets holdout: out" in say("assign", "7")
    say("create", "spread")
    say("start", "spread")
    told = {user: say("assign", f"u{user}") for user in range(60)}
    arms = {user: text.partition("gets ")[2] for user, text in told.items()}
    varied = next(user for user, text in arms.items() if "spread: varied" in text)
    assert "rerank.rules.0.theta = 0.5" in told[varied]
    inside = next(user for user, text in arms.items() if "holdout: in" in text)
    assert "buckets below 1000 are in" in told[inside]
    assert "spread" not in arms[inside]
    say("roll-out", "spread", "--reverse", 0.5)
    assert "buckets below 5000 are its reverse bucket" in say("assign", f"u{varied}")
    assert "launched in period 1, whose holdout the user is in" in say("assign", f"u{inside}")


def test_what_is_not_allowed_is_refused_in_words(ask: Callable[..., Result], say: Say, folder: Path) -> None:
    refusals: list[tuple[tuple[object, ...], type[Exception], str]] = [
        (("start", "spread"), NotFoundError, 'no experiment "spread"'),
        (("create", "spraed"), NotFoundError, "experiments.defined.spraed"),
        (("create", "a", "--from", folder / "none.toml"), ConfigError, "a TOML file with layer and arms"),
        (("create", "A", "--from", folder / "other.toml"), ConfigError, 'name "A"'),
    ]
    for words, kind, why in refusals:
        error = ask(*words).exception
        assert isinstance(error, kind)
        assert why in str(error)
    say("create", "spread")
    assert isinstance(ask("create", "spread").exception, WorkspaceError)
    (folder / "other.toml").write_text(OTHER.replace("retrieval.limit", "retrieval.limmit"))
    assert "limmit" in str(ask("create", "b", "--from", folder / "other.toml").exception)
    (folder / "other.toml").write_text(OTHER.replace("[arms.fewer]", "[arms.fewer]\nshre = 1"))
    assert 'did you mean "share"' in str(ask("create", "b", "--from", folder / "other.toml").exception)
    assert "create spread" in say("history")


def test_a_config_that_does_not_go_with_what_runs_is_told_at_once(
    ask: Callable[..., Result], say: Say, folder: Path
) -> None:
    say("create", "spread")
    (folder / "feedmill.toml").write_text(CONFIG.replace("holdout = 0.1", "holdout = 0.3"))
    assert "0.3 is for the next period" in say("list")
    (folder / "feedmill.toml").write_text(CONFIG.replace("n_buckets = 100", "n_buckets = 200"))
    assert "was changed while" in str(ask("list").exception)
    (folder / "feedmill.toml").write_text(CONFIG.replace("share = 0.2", "share = 0.3"))
    assert "is not what was created" in str(ask("list").exception)


def test_a_log_without_experiments_has_something_to_say_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "feedmill.toml").write_text("[retrieval.channels]\npopular = { limit = 30 }\n")
    assert "no layers" in run("experiment", "list", "--dir", tmp_path).output
    assert "nothing has happened yet" in run("experiment", "history", "--dir", tmp_path).output
    assert "gets no experiment" in run("experiment", "assign", "7", "--dir", tmp_path).output
