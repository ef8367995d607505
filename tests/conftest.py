"""What every test may rely on: the real data folder, the same Hypothesis examples, one place for kernels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".venv" / "numba"))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests share two cores; spinning threads would fight for them
os.environ["PYTHONPATH"] = str(ROOT / "src")  # for the processes that tests start
pytest.register_assert_rewrite("contracts")

# The same examples on every run, and no deadline: the first call of a kernel may compile it.
settings.register_profile(
    "feedmill",
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("feedmill")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data: ``FEEDMILL_DATA``, or ``../shared/data`` beside the repository."""
    folder = Path(os.environ.get("FEEDMILL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set FEEDMILL_DATA to the folder that has it")
    return folder
