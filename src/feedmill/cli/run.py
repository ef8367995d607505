"""``feedmill run``: the whole loop as one group of processes."""

from __future__ import annotations

from typing import Annotated

import typer

from feedmill.cli.options import HERE, Dir, Set, timezone, workspace


def run(
    folder: Dir = HERE,
    settings: Set = None,
    once: Annotated[bool, typer.Option("--once", help="One round of join and learn, then end: for cron.")] = False,
    nightly: Annotated[bool, typer.Option("--nightly", help="With --once: the full update too.")] = False,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="A JSON object a line.")] = False,
) -> None:
    """Serve, join, learn and publish on schedule, until Ctrl-C; each part also runs alone."""
    from feedmill.cli.group.config import RunConfig, zone
    from feedmill.cli.group.lines import INFO, Lines
    from feedmill.cli.group.supervisor import ME, Supervisor
    from feedmill.core.errors import ConfigError
    from feedmill.core.hold import hold

    if nightly and not once:
        raise ConfigError("--nightly without --once", "--once --nightly", "without --once nights come by [run] nightly")
    at = workspace(folder, settings)
    config = at.section("run", RunConfig)
    where = zone(config, timezone(at))
    lines = Lines(json_logs)
    options = ["--dir", str(folder.absolute()), *(word for s in settings or () for word in ("--set", s))]
    with hold(at.status / "run.lock", f"{at.path} is being run", "one `feedmill run` on a workspace"):
        group = Supervisor(at, config, options, where, lines)
        if once:
            if not group.once(nightly):
                raise typer.Exit(1)
            return
        lines.say(ME, INFO, f"{', '.join(config.parts)}; nights at {config.nightly} {where.key}; Ctrl-C ends it")
        group.follow()
