"""Work over a second shows progress: one function for the whole house."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

console = Console(stderr=True, highlight=False)


@contextmanager
def progress(what: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Show ``what`` with a bar on a terminal, or one line when done elsewhere; yields advance(n).

    >>> with progress("folding", total=3) as advance:
    ...     advance(3)
    """
    start, is_terminal = perf_counter(), sys.stderr.isatty()
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.advance(task, n)
        bar.update(task, total=bar.tasks[0].completed or 1, completed=bar.tasks[0].completed or 1)
    seconds = perf_counter() - start
    if not is_terminal and seconds > 1:
        console.print(f"{what}: {seconds:.1f} s")
