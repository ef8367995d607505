"""The house holds: folders are mirrored, names are plain, what is listed exists, serving has no torch."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from feedmill.core.config import Config
from feedmill.core.registry import Registry

ROOT = Path(__file__).resolve().parent.parent
SRC, TESTS = ROOT / "src" / "feedmill", ROOT / "tests"
PYTHON = [*SRC.rglob("*.py"), *TESTS.rglob("*.py")]
TEXT = [
    *PYTHON,
    *(p for p in ROOT.glob("*") if p.suffix in {".md", ".toml", ".yaml"} or p.name == "Makefile"),
    *(ROOT / "docs").rglob("*.md"),
]
MAX_LINES = 400


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules_of(folder: Path) -> list[Path]:
    return [p for p in folder.glob("*.py") if p.name not in {"__init__.py", "__main__.py"}]


FOLDERS = sorted(p for p in SRC.rglob("*") if p.is_dir() and modules_of(p))


def registries() -> dict[str, Registry[Any]]:
    """Every component table of the package, found by importing the modules that make one."""
    found: dict[str, Registry[Any]] = {}
    for path in sorted(SRC.rglob("*.py")):
        if re.search(r"^[A-Z]+\b.*= Registry\(", path.read_text("utf-8"), re.MULTILINE):
            name = ".".join(path.relative_to(SRC.parent).with_suffix("").parts).removesuffix(".__init__")
            tables = [v for v in vars(importlib.import_module(name)).values() if isinstance(v, Registry)]
            found |= {table.stage: table for table in tables}
    return found


REGISTRIES = registries()
COMPONENTS = [(stage, kind) for stage, table in REGISTRIES.items() for kind in table]
OPENED = {"dataset", "log"}  # what their constructors take is a path; the other kinds have a Config


@pytest.mark.parametrize("folder", FOLDERS, ids=place)
def test_tests_mirror_the_folders(folder: Path) -> None:
    tests = TESTS / folder.relative_to(SRC)
    assert list(tests.glob("test_*.py")), f"{place(tests)} has no test"


@pytest.mark.parametrize("folder", sorted(p for p in TESTS.rglob("*") if p.is_dir() and modules_of(p)), ids=place)
def test_test_folders_have_a_folder_to_mirror(folder: Path) -> None:
    if folder not in (TESTS / "contracts", TESTS / "torture"):
        assert (SRC / folder.relative_to(TESTS)).is_dir()


def test_no_file_is_named_after_nothing() -> None:
    named_by_the_field = {"shared_bottom"}  # Caruana 1997
    vague = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc", "shared"}
    assert [
        place(p)
        for p in PYTHON
        if p.stem.removeprefix("test_") not in named_by_the_field
        and vague & set(p.stem.removeprefix("test_").split("_"))
    ] == []


def test_files_stay_short() -> None:
    assert [place(p) for p in PYTHON if len(p.read_text("utf-8").splitlines()) > MAX_LINES] == []


def test_every_module_says_what_it_is() -> None:
    parsed = {p: ast.parse(p.read_text("utf-8")) for p in SRC.rglob("*.py")}
    assert [place(p) for p, tree in parsed.items() if tree.body and not ast.get_docstring(tree)] == []


@pytest.mark.parametrize(
    "pattern",
    [r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b", r"(?<![\w.])/(home|root|work|Users)" + r"/\w"],
)
def test_nothing_is_left_undone_or_tied_to_a_machine(pattern: str) -> None:
    assert [place(p) for p in TEXT if re.search(pattern, p.read_text("utf-8"))] == []


@pytest.mark.parametrize(("stage", "kind"), COMPONENTS)
def test_every_listed_component_exists_and_declares_its_parameters(stage: str, kind: str) -> None:
    cls: Any = REGISTRIES[stage][kind]
    assert cls.__doc__, f"{cls.__name__} says what it is"
    if stage in OPENED:
        return
    config = cls.Config
    assert issubclass(config, Config)
    for field in msgspec.inspect.type_info(config).fields:  # type: ignore[attr-defined]
        described = isinstance(field.type, msgspec.inspect.Metadata)
        assert described, f"{config.__name__}.{field.name} says its unit, range and meaning in Meta(...)"


def test_there_are_components() -> None:
    assert {"channel", "rule", "filter"} <= set(REGISTRIES)


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_serving_imports_neither_torch_nor_the_trainer() -> None:
    run(
        "import sys, pkgutil, importlib, feedmill.serve\n"
        "names = [m.name for m in pkgutil.walk_packages(feedmill.serve.__path__, 'feedmill.serve.')]\n"
        "for name in names: importlib.import_module(name)\n"
        "from feedmill.retrieval import CHANNELS; from feedmill.rerank import RULES\n"
        "for table in (CHANNELS, RULES): [table[kind] for kind in table]\n"
        "heavy = {'torch', 'onnx', 'typer', 'feedmill.train', 'feedmill.models'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )


def test_importing_the_package_is_light() -> None:
    run(
        "import sys, feedmill\n"
        "heavy = {'torch', 'numpy', 'numba', 'pyarrow', 'faiss', 'fastapi'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "make demo" in readme
    assert "make test" in readme


def test_the_makefile_lists_every_chore() -> None:
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for chore in ("demo", "test", "check", "bench", "serve", "torture", "clean"):
        assert f"make {chore} " in listed


def test_contributing_has_a_recipe_for_every_kind_of_component() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text("utf-8").lower()
    assert [stage for stage in REGISTRIES if f"`{stage}`" not in recipes] == []


def test_contributing_names_every_contract_suite() -> None:
    recipes = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    suites = [p.stem.removeprefix("test_") for p in (TESTS / "contracts").glob("test_*.py")]
    assert [suite for suite in suites if f"`{suite}`" not in recipes] == []
