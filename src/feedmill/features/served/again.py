"""What a ranker would read and say of requests of the log, by the way training takes: nothing that serving keeps, looks
up or makes beforehand is asked."""

from __future__ import annotations

from feedmill.core.batches import Floats, Part
from feedmill.features.assemble import assemble
from feedmill.features.attention import item_numbers
from feedmill.features.served.calibrated import KEY, Correction
from feedmill.features.served.factored import is_factored, predict, shares_of
from feedmill.features.served.graph import Graph
from feedmill.features.served.named import NO_SHARES, Named, named
from feedmill.features.served.pooling import table_of
from feedmill.features.served.trees_graph import TREES_KIND, TreesGraph
from feedmill.features.spec import from_dict
from feedmill.state import CROSS, Probed, State


def again(part: Part, state: State, probed: Probed) -> tuple[Named, Floats]:
    """The features of R requests, and float32[C, H] scores as they are served: corrected and calibrated.

    Args:
        part: a ranker's.
        state: folded from the log at least as far as the requests.
        probed: each request as of its moment, with facts.

    Raises:
        ArtifactError: the part cannot be served, or the state counts other things.
    """
    spec = from_dict(part.config.get("spec"))
    spec.check(state.settings_hash, str(part.config.get("spec_hash", "")))
    batch = assemble(spec, part.arrays, state, probed)
    numbers, shares = batch.item_numeric, NO_SHARES
    if part.kind == TREES_KIND:
        raw = TreesGraph(part, state).of_probed(probed)
    else:
        numbers = item_numbers(spec, table_of(part.arrays, spec), batch)
        if is_factored(part):
            shares = shares_of(part, batch.item_ids)
            raw = predict(part, batch, shares=shares, duration=probed.cross[:, CROSS.index("duration_s")])
        else:
            raw = Graph(part, state, whole=True).of_probed(probed)
    if part.config.get(KEY):
        raw = Correction.of(part, state)(raw, probed.users, probed.item, probed.request_of)
    return named(spec, batch, numbers, shares), raw
