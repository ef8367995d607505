"""``feedmill serve`` as a process: what it logs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from feedmill.core.workspace import Workspace

pytestmark = pytest.mark.slow

BROKEN = "0123456789ab"


@pytest.mark.parametrize("kind", ["json", "text"])
def test_serve_logs_in_the_form_that_the_config_says(kind: str, tmp_path: Path) -> None:
    toml = f'[serve]\nport = 0\nfollow_s = 0.05\nlog = "{kind}"\n[retrieval.channels]\npopular = {{}}\n'
    workspace = Workspace.create(tmp_path / "feed", toml)
    command = [sys.executable, "-m", "feedmill", "serve", "--dir", str(workspace.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        try:
            assert "http://" in started.stdout.readline()
            workspace.artifacts.mkdir(exist_ok=True)
            (workspace.artifacts / "current").write_text(BROKEN + "\n")  # a version that nobody has written
            line = started.stderr.readline()
        finally:
            started.terminate()
    assert BROKEN in line
    assert "reload" in line
    if kind == "json":
        said = json.loads(line)
        assert set(said) == {"time", "level", "logger", "message"}
        assert (said["level"], said["logger"]) == ("warning", "feedmill.serve")
    else:
        assert line.startswith("reload: ")
