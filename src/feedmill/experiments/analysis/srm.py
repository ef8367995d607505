"""Are there as many users in each arm as there should be? If not, something dropped them, and no figure holds.

Fabijan et al., "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", KDD 2019.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from scipy import stats

from feedmill.core.errors import DataError

LEVEL = 0.001  # a look a day at many experiments: 5 % would cry wolf


class SampleRatio(msgspec.Struct, frozen=True, kw_only=True):
    """Users seen per arm against the arms' shares of the buckets."""

    users: dict[str, int]
    expected: dict[str, float]
    p: float
    is_flagged: bool
    crossovers: int  # users seen in two arms: there should be none


def sample_ratio(users: Mapping[str, int], shares: Mapping[str, float], crossovers: int = 0) -> SampleRatio:
    """Pearson's chi-square test, flagged under p < 0.001.

    Args:
        users: exposed users of each arm; an arm that is not named has none.
        shares: of each arm, such as its buckets; they need not add up to 1.

    Raises:
        DataError: nobody is exposed, users in an arm without a share, or fewer than two arms.
    """
    total, share = sum(users.values()), sum(shares.values())
    strange = [arm for arm, n in users.items() if n and not shares.get(arm, 0) > 0]
    if strange:
        raise DataError(f"users in {strange}, which has no buckets", f"arms {list(shares)}")
    if len(shares) < 2 or not total:
        raise DataError(f"{total} users in {len(shares)} arms", "exposed users and two arms at least")
    arms = [arm for arm, part in shares.items() if part > 0]
    expected = {arm: total * shares[arm] / share for arm in arms}
    seen = {arm: int(users.get(arm, 0)) for arm in arms}
    p = float(stats.chisquare(list(seen.values()), list(expected.values())).pvalue) if len(arms) > 1 else 1.0
    return SampleRatio(users=seen, expected=expected, p=p, is_flagged=p < LEVEL, crossovers=crossovers)
