"""``make torture``: ``python -m torture --kills 100 --seed 0``, with src and tests on the path."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from torture.harness import JOBS, Torture, to_stderr


def main() -> int:
    words = argparse.ArgumentParser(prog="torture", description=__doc__)
    words.add_argument("--kills", type=int, default=100)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--every", choices=JOBS, default="", help="kill this part at each of its steps besides")
    words.add_argument("--json", type=Path, help="also write the report to this file")
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder) / "shop", given.seed, to_stderr)
        try:
            report = torture.run(given.kills, given.every)
        except AssertionError as e:
            to_stderr(f"FAILED with seed {given.seed}, {torture.report.kills[-1:] or 'before the first kill'}: {e}")
            return 1
    print(report.table())
    if given.json:
        given.json.write_text(json.dumps(report.as_dict(), indent=1) + "\n", "utf-8")
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
