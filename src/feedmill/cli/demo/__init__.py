"""``feedmill demo``: the whole chain on MovieLens 100K, from nothing to an experiment with an audience."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import typer

from feedmill.cli import data, learn, show, start
from feedmill.core.progress import console
from feedmill.core.request import FeedResponse
from feedmill.core.workspace import Workspace

VIEWERS = 3


def demo(
    folder: Annotated[Path, typer.Option("--dir", "-d", help="Where the demo's workspace is made.")] = Path("demo"),
    source: Annotated[Path | None, typer.Option("--from", help="A folder with ml-100k.inter/.item/.user.")] = None,
    stay: Annotated[bool | None, typer.Option("--stay/--no-stay", help="Keep serving; default: on a terminal.")] = None,
) -> None:
    """Fetch MovieLens 100K, train the chain, publish, serve, show three people their feed, and let an audience scroll
    through two configs of it."""
    from feedmill.cli.demo.audience import WHY, scroll_and_compare
    from feedmill.datasets import DATASETS
    from feedmill.serve.server import running

    began = time.perf_counter()
    at = workspace(folder)
    step("1/5", "the data")
    data.load(DATASETS["ml-100k"](source), at)  # type: ignore[call-arg]
    step("2/5", "train, evaluate, publish")
    version, _ = learn.run(at)
    console.print(f"published and promoted version {version} in {at.artifacts}")
    step("3/5", "serve")
    with running(at) as url:
        show_feeds(url, at)
        step("4/5", f"an audience scrolls; half of it gets {WHY}")
        name = scroll_and_compare(url, at)
        step("5/5", f"done in {time.perf_counter() - began:.0f} s")
        show.out.print(f"\nThe service is at {url} (what it answers: {url}/), the workspace in {folder}/. Try:")
        show.out.print(
            f'  curl -s {url}/v1/feed -H \'content-type: application/json\' -d \'{{"user_id": "7", "n": 5}}\''
        )
        show.out.print(f"  feedmill recommend 7 --dir {folder}")
        show.out.print(f"  feedmill report experiment {name} --dir {folder}")
        if sys.stdout.isatty() if stay is None else stay:
            show.out.print("Ctrl-C ends it.")
            while True:
                time.sleep(3600)


def workspace(folder: Path) -> Workspace:
    """The demo's workspace, made if it is not there: the template as of the newest event."""
    if not (folder / "feedmill.toml").exists():
        text = start.template().replace('clock = "wall"  ', 'clock = "newest"')
        # MovieLens has genres, not authors
        text = text.replace("of an author", "of a genre").replace('by = "author"', 'by = "topic"').replace("= 2", "= 3")
        Workspace.create(folder, text)
    return Workspace.open(folder)


def step(n: str, what: str) -> None:
    """A heading."""
    show.out.print(f"\n[bold]{n} {what}[/]")


def show_feeds(url: str, at: Workspace) -> None:
    """Ask the service for the feeds of the three most recent users and print them."""
    from feedmill.log.whole import open_log

    log = open_log(at)
    try:
        newest, _ = log.read(max(0, log.end - 2000), 2000)
    finally:
        log.close()
    users = list(dict.fromkeys(u for u in reversed(newest.table.column("user_id").to_pylist()) if u))[:VIEWERS]
    with httpx.Client(base_url=url, timeout=10) as client:
        for user in users:
            answer = client.post("/v1/feed", json={"user_id": user, "n": 10})
            answer.raise_for_status()
            show.feed(msgspec.json.decode(answer.content, type=FeedResponse))
        trace = client.get(f"/v1/trace/{msgspec.json.decode(answer.content)['request_id']}")
        trace.raise_for_status()
    from feedmill.core.request import Trace

    show.out.print("\nHow the last one came about:")
    show.trace(msgspec.json.decode(trace.content, type=Trace))
