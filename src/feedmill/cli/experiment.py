"""``feedmill experiment``: what runs, who is in it, and the steps of its life."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from feedmill.cli import experiment_stats, show_experiments
from feedmill.cli.options import HERE, Dir, Set, interruptible, workspace
from feedmill.core.config import convert, read_toml
from feedmill.core.errors import ConfigError
from feedmill.experiments import Action, Definition, Experiment, ExperimentsConfig, Plan

experiment_app = typer.Typer(no_args_is_help=True, help="Experiments: what runs, who is in it, start, stop, roll out.")

Name = Annotated[str, typer.Argument(help="Of the experiment.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it; else your name on this machine.")]
Note = Annotated[str, typer.Option("--note", help="Why; the history has it.")]
Share = Annotated[float, typer.Argument(min=0.0001, max=0.5, help="Of the users: they keep the old treatment.")]


def list_(folder: Dir = HERE, settings: Set = None) -> None:
    """Layers with who holds their users, experiments, and the holdout."""
    with _opened(folder, settings) as plan:
        show_experiments.overview(plan)


def show(name: Name, folder: Dir = HERE, settings: Set = None) -> None:
    """One experiment: its arms, what they set, and its history."""
    with _opened(folder, settings) as plan:
        show_experiments.one(plan, name)


def history(folder: Dir = HERE, settings: Set = None) -> None:
    """Every step that was ever taken, and those that the log refused."""
    with _opened(folder, settings) as plan:
        show_experiments.history(plan)


def assign(user: Annotated[str, typer.Argument(help="A user id.")], folder: Dir = HERE, settings: Set = None) -> None:
    """What a user gets, and why: every bucket that is looked at."""
    with _opened(folder, settings) as plan:
        show_experiments.assignment(plan, user)


def create(
    name: Name,
    source: Annotated[
        Path | None, typer.Option("--from", help="A TOML file with layer and arms; else experiments.defined.NAME.")
    ] = None,
    folder: Dir = HERE,
    settings: Set = None,
    by: By = None,
    note: Note = "",
) -> None:
    """Take buckets of a layer for a new experiment; nobody gets anything else until it starts."""
    if source and not source.is_file():
        raise ConfigError(f"no file {source}", "a TOML file with layer and arms", "see docs/experiments.md")
    definition = convert(read_toml(source), Definition, name) if source else None
    _do(Action(action="create", name=name, definition=definition, by=_who(by), note=note), folder, settings)


def start(name: Name, folder: Dir = HERE, settings: Set = None, by: By = None, note: Note = "") -> None:
    """Serve its arms to its users."""
    _do(Action(action="start", name=name, by=_who(by), note=note), folder, settings)


def stop(name: Name, folder: Dir = HERE, settings: Set = None, by: By = None, note: Note = "") -> None:
    """End it, or take a launch back."""
    _do(Action(action="stop", name=name, by=_who(by), note=note), folder, settings)


def roll_out(
    name: Name,
    arm: Annotated[str, typer.Option(help="That wins; none = the only one that is no control.")] = "",
    reverse: Annotated[float, typer.Option(min=0, max=0.5, help="Share of users who keep the old treatment.")] = 0.0,
    folder: Dir = HERE,
    settings: Set = None,
    by: By = None,
    note: Note = "",
) -> None:
    """Give the winning arm to everyone but the holdout."""
    _do(Action(action="roll_out", name=name, arm=arm, share=reverse, by=_who(by), note=note), folder, settings)


def reverse(name: Name, share: Share, folder: Dir = HERE, settings: Set = None, by: By = None, note: Note = "") -> None:
    """Open a reverse bucket in a launch: some users go back to the old treatment, for a long look at both."""
    _do(Action(action="reverse", name=name, share=share, by=_who(by), note=note), folder, settings)


def close(name: Name, folder: Dir = HERE, settings: Set = None, by: By = None, note: Note = "") -> None:
    """Put an experiment away, or end the reverse bucket of a launch."""
    _do(Action(action="close", name=name, by=_who(by), note=note), folder, settings)


def end_holdout(
    share: Annotated[
        float | None, typer.Option(min=0, max=0.5, help="Of the users, in the next one; none = the config's.")
    ] = None,
    folder: Dir = HERE,
    settings: Set = None,
    by: By = None,
    note: Note = "",
) -> None:
    """End the holdout period: its users get the launches, and another holdout is drawn."""
    _do(Action(action="end_holdout", share=share, by=_who(by), note=note), folder, settings)


experiment_app.command("list")(interruptible(list_))
for command in (show, history, assign, create, start, stop, roll_out, reverse, close, end_holdout):
    experiment_app.command()(interruptible(command))
for command in (experiment_stats.power, experiment_stats.aa):
    experiment_app.command()(interruptible(command))


def _do(action: Action, folder: Path, settings: list[str] | None) -> Experiment | None:
    """Take the step and say what has become of it."""
    from feedmill.serve.engine import Engine

    engine = Engine.open(workspace(folder, settings))
    try:
        done = engine.experiments.do(action)
        show_experiments.done(engine.experiments.plan, done)
    finally:
        engine.close()
    return done


@contextmanager
def _opened(folder: Path, settings: list[str] | None) -> Iterator[Plan]:
    """The plan at the end of a workspace's log."""
    from feedmill.experiments.store import restore
    from feedmill.log.whole import open_log

    at = workspace(folder, settings)
    config = at.section("experiments", ExperimentsConfig)
    log = open_log(at)
    try:
        yield restore(at.experiments, log, config)
    finally:
        log.close()


def _who(by: str | None) -> str:
    """The name to write down; "" where the machine knows none."""
    try:
        return (getpass.getuser() if by is None else by)[:200]
    except (OSError, KeyError, ImportError):  # a container with a user id and no user
        return ""
