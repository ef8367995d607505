"""The file ``current``: the promoted version on its first line and the ones before it below, newest first.

One file holds both, so that promoting and rolling back are each one atomic replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feedmill.core.errors import ArtifactError
from feedmill.publish import disk
from feedmill.publish.manifest import VERSION_NAME

CURRENT = "current"
KEPT = 50  # lines


def history(root: Path) -> list[str]:
    """The promoted versions, newest first; the first is the current one, [] before the first promotion.

    Raises:
        ArtifactError: the file holds something else.
    """
    path = root / CURRENT
    try:
        lines = path.read_text("utf-8").split()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as e:
        raise ArtifactError(f"{path}: {e}", "a version on each line", f"mend or delete {path}") from None
    for line in lines:
        if not VERSION_NAME.fullmatch(line):
            raise ArtifactError(f"{path} has {line[:40]!r}", "a version on each line", f"mend or delete {path}")
    return lines


def current(root: Path) -> str | None:
    """The promoted version, or None."""
    lines = history(root)
    return lines[0] if lines else None


def point(root: Path, lines: Sequence[str]) -> None:
    """Replace the file in one step."""
    try:
        disk.replace_text(root / CURRENT, "".join(f"{line}\n" for line in lines[:KEPT]))
    except OSError as e:
        raise ArtifactError(f"cannot write {root / CURRENT}: {e.strerror or e}", "a folder with room") from e
