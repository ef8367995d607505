"""What ``--help`` says is all there: brackets are not eaten as markup."""

from __future__ import annotations

from collections.abc import Iterator

import click
import typer
from rich.text import Text

from feedmill.cli.main import app


def texts(command: click.Command, name: str = "feedmill") -> Iterator[tuple[str, str]]:
    """(where, text) of a command, its parameters, and all below it."""
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for below in getattr(command, "commands", {}).values():
        yield from texts(below, f"{name} {below.name}")


def test_no_word_of_the_help_is_taken_for_markup() -> None:
    found = dict(texts(typer.main.get_command(app)))
    assert len(found) > 100
    assert not {where: text for where, text in found.items() if Text.from_markup(text).plain != text}
