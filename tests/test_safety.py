"""What can be audited without a network: every dependency is pinned, and nothing turns text into code."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
SRC = sorted((ROOT / "src").rglob("*.py"))
PIN = re.compile(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.+!]*)")
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
UNSAFE = {"shell": True, "allow_pickle": True}  # of subprocess, of numpy


def pins() -> dict[str, str]:
    """constraints.txt: distribution -> version."""
    lines = [line.split(" #")[0].strip() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()]
    matches = [(line, PIN.fullmatch(line)) for line in lines if line and not line.startswith("#")]
    assert [line for line, match in matches if match is None] == [], "exact versions, and no address to get them from"
    return {canonicalize_name(match[1]): match[2] for _, match in matches if match}


def declared() -> dict[str, list[Requirement]]:
    """What pyproject.toml asks for, by extra; "" for everybody."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: [Requirement(text) for text in texts] for extra, texts in lists.items()}


def needed(requirements: list[Requirement], seen: set[str]) -> Iterator[Requirement]:
    """These and whatever they need, as installed here."""
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        yield requirement
        name = canonicalize_name(requirement.name)
        if name not in seen:
            seen.add(name)
            try:
                below = [Requirement(text) for text in distribution(name).requires or ()]
            except PackageNotFoundError:  # an extra that is not installed
                continue
            yield from needed(below, seen)


def test_every_dependency_is_pinned_within_its_bounds_and_comes_by_name() -> None:
    pinned = pins()
    for extra, requirements in declared().items():
        for requirement in requirements:
            assert requirement.url is None, requirement
            name = canonicalize_name(requirement.name)
            assert name in pinned, f"{requirement.name} of [{extra}] is not in constraints.txt"
            assert requirement.specifier.contains(pinned[name], prereleases=True), f"{requirement}: {pinned[name]}"


def test_what_serving_needs_is_pinned_to_the_last_one() -> None:
    unpinned = {canonicalize_name(r.name) for r in needed(declared()[""], set())} - set(pins())
    assert unpinned == set()


def test_nothing_turns_text_into_code() -> None:
    found = []
    for path in SRC:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            named = isinstance(node.func, ast.Name) and node.func.id in RUNS_TEXT
            unsafe = [k for k in node.keywords if k.arg in UNSAFE and getattr(k.value, "value", None) is UNSAFE[k.arg]]
            if named or unsafe:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
