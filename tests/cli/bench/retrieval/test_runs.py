from __future__ import annotations

from pathlib import Path

import pytest

from feedmill.cli.bench.retrieval.runs import MERGE, runs
from feedmill.cli.bench.retrieval.tasks import TASKS
from feedmill.core.config import convert
from feedmill.core.errors import ConfigError
from feedmill.retrieval import CHANNELS


@pytest.mark.parametrize("split", TASKS)
def test_every_run_names_a_kind_with_parameters_it_has_and_how_they_were_chosen(split: str) -> None:
    found = runs(split)
    for name, run in found.items():
        assert run.chosen, name
        if run.kind == MERGE:
            assert set(run.channels) <= set(found)
            assert set(run.weights) <= set(run.channels)
        else:
            convert(run.config, CHANNELS[run.kind].Config, name)


def test_a_splits_own_row_replaces_that_of_all_and_merges_come_last(tmp_path: Path) -> None:
    file = tmp_path / "runs.toml"
    file.write_text(
        '[all.both]\nkind = "merge"\nchosen = "x"\nchannels = ["itemcf"]\n'
        '[all.itemcf]\nkind = "itemcf"\nchosen = "defaults"\n'
        '[one.itemcf]\nkind = "itemcf"\nchosen = "tuned"\nconfig = { top_k = 7 }\n'
    )
    assert list(runs("one", file)) == ["itemcf", "both"]
    assert runs("one", file)["itemcf"].config == {"top_k": 7}
    assert runs("two", file)["itemcf"].chosen == "defaults"
    file.write_text('[all.itemcf]\nkind = "itemcf"\nchosen = "x"\nconfg = {}\n')
    with pytest.raises(ConfigError, match="confg"):
        runs("one", file)
