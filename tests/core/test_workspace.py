from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta

from feedmill.core.config import Config
from feedmill.core.errors import ConfigError, WorkspaceError
from feedmill.core.registry import Registry
from feedmill.core.workspace import Workspace, component


class SpoonConfig(Config, frozen=True):
    """Of the component these tests configure."""

    size: Annotated[int, Meta(ge=1)] = 3


class Spoon:
    Config = SpoonConfig


TABLE: Registry[Any] = Registry("cutlery", {"spoon": f"{__name__}:Spoon"})


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Spoon.__module__])


def of(tmp_path: Path, **raw: Any) -> Workspace:
    return Workspace(tmp_path, raw)


def test_create_writes_the_text_and_open_reads_it(tmp_path: Path) -> None:
    made = Workspace.create(tmp_path / "a" / "b", "[serve]\nport = 1 # mine\n")
    assert "# mine" in (made.path / "feedmill.toml").read_text()
    assert Workspace.open(made.path).raw == {"serve": {"port": 1}}


def test_overrides_go_by_dotted_path(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "a", "[serve]\nport = 1\n")
    assert Workspace.open(tmp_path / "a", {"serve.port": 2, "rerank.fusion.form": "sum"}).raw == {
        "serve": {"port": 2},
        "rerank": {"fusion": {"form": "sum"}},
    }


def test_create_does_not_overwrite(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "a", "[serve]\n")
    with pytest.raises(WorkspaceError, match="exists"):
        Workspace.create(tmp_path / "a", "")


@pytest.mark.parametrize("text", ["[serve", "[serv]\n"])
def test_create_writes_nothing_it_would_not_open(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        Workspace.create(tmp_path / "a", text)
    assert not (tmp_path / "a").exists()


def test_a_folder_without_a_workspace_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="feedmill init"):
        Workspace.open(tmp_path)


def test_an_unknown_section_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='did you mean "retrieval"'):
        of(tmp_path, retreival={})


def test_a_value_outside_of_any_section_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a section \[serve\]"):
        of(tmp_path, serve=3)


def test_a_missing_section_has_its_defaults(tmp_path: Path) -> None:
    assert of(tmp_path).section("rerank.fusion", SpoonConfig) == SpoonConfig()


def test_a_section_is_checked_and_leaves_keys_of_others_alone(tmp_path: Path) -> None:
    workspace = of(tmp_path, serve={"size": 4, "other": 1})
    assert workspace.section("serve", SpoonConfig, drop=["other"]).size == 4
    with pytest.raises(ConfigError, match=r'unknown key "serve\.other"'):
        workspace.section("serve", SpoonConfig)


def test_components_of_a_table_keep_their_order_and_names(tmp_path: Path) -> None:
    blocks = {"big": {"kind": "spoon", "size": 9, "limit": 5}, "spoon": True, "gone": False}
    big, plain = of(tmp_path, retrieval={"channels": blocks}).components("retrieval.channels", TABLE, own=["limit"])
    assert (big.name, big.kind, big.cls, big.config.size, big.own) == ("big", "spoon", Spoon, 9, {"limit": 5})
    assert (plain.name, plain.config.size, plain.own) == ("spoon", 3, {})


def test_components_of_a_list_need_a_kind(tmp_path: Path) -> None:
    (one,) = of(tmp_path, rerank={"rules": [{"kind": "spoon"}]}).components("rerank.rules", TABLE)
    assert one.name == "spoon"
    with pytest.raises(ConfigError, match=r"rerank\.rules.0"):
        of(tmp_path, rerank={"rules": [{"size": 3}]}).components("rerank.rules", TABLE)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"kind": "spon"}, 'did you mean "spoon"'),
        ({"kind": "spoon", "sise": 1}, r'unknown key "at\.sise"'),
        ({"kind": "spoon", "size": 0}, r"at\.size = 0"),
        ({"kind": "spoon", "size": "big"}, r"at\.size = 'big'"),
        (7, "at = 7"),
    ],
)
def test_a_component_that_cannot_be_made_says_where_and_why(block: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        component(block, TABLE, "at", "spoon")


def test_one_process_at_a_time_holds_a_workspace(tmp_path: Path) -> None:
    workspace = of(tmp_path)
    with workspace.hold(), pytest.raises(WorkspaceError, match=str(os.getpid())), workspace.hold():
        pass
    with workspace.hold():
        pass


def test_the_hold_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from feedmill.core.workspace import Workspace\n"
        "with Workspace(pathlib.Path(sys.argv[1]), {}).hold(): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceError, match=str(other.pid)), of(tmp_path).hold():
            pass
        other.kill()
    with of(tmp_path).hold():
        pass
