"""Status files: written whole, read back, and never in anybody's way."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from feedmill.core.clock import FixedClock, WallClock
from feedmill.core.errors import WorkspaceError
from feedmill.core.status import report, statuses
from feedmill.core.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "feed", "")


def test_what_is_reported_is_read_back(workspace: Workspace) -> None:
    clock = FixedClock(5_000)
    written = report(workspace, "join", offset=7, figures={"waiting": 3}, words=["all is well"], clock=clock)
    assert statuses(workspace) == {"join": written}
    assert (written.pid, written.time_ms, written.offset, written.state) == (os.getpid(), 5_000, 7, "ok")
    assert written.figures == {"waiting": 3.0}
    assert written.age_s(6_500) == 1.5
    assert written.age_s(4_000) == 0.0


def test_the_last_word_counts_and_parts_stand_side_by_side(workspace: Workspace) -> None:
    report(workspace, "guard", state="open", words=["clicks stopped"])
    report(workspace, "learn")
    report(workspace, "guard")
    found = statuses(workspace)
    assert {name: s.state for name, s in found.items()} == {"guard": "ok", "learn": "ok"}
    assert abs(found["learn"].age_s(WallClock().now_ms())) < 60
    assert sorted(p.name for p in workspace.status.iterdir()) == ["guard.json", "learn.json"], "nothing is left behind"


def test_a_workspace_where_nobody_has_said_anything(workspace: Workspace) -> None:
    assert statuses(workspace) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"part": 3}', b"\xff\xfe"])
def test_a_file_that_is_no_status_is_a_part_that_cannot_be_read(content: bytes, workspace: Workspace) -> None:
    report(workspace, "join")
    (workspace.status / "learn.json").write_bytes(content)
    found = statuses(workspace)
    assert found["join"].state == "ok"
    assert found["learn"].state == "unreadable"
    assert found["learn"].words[0].startswith("learn.json: ")


def test_a_reader_sees_the_old_or_the_new_whole(workspace: Workspace) -> None:
    report(workspace, "join", words=["0" * 2_000])
    stop, seen = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            (word,) = statuses(workspace)["join"].words
            seen.add((len(word), len(set(word))))

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(300):
        report(workspace, "join", words=[str(k % 10) * 2_000])
    stop.set()
    reader.join()
    assert seen == {(2_000, 1)}


@pytest.mark.parametrize("part", ["", "../x", "Join", "a/b", ".hidden", "1st"])
def test_a_name_is_a_name(part: str, workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="a part called"):
        report(workspace, part)


def test_a_folder_that_cannot_be_written(workspace: Workspace) -> None:
    workspace.status.write_text("a file in the folder's place")
    with pytest.raises(WorkspaceError, match="status"):
        report(workspace, "join")
