"""The online joiner: feedback joined to impressions within a window, as a fold of the log (He et al. 2014)."""

from feedmill.samples.joiner.config import FEEDBACK, Groups, JoinConfig
from feedmill.samples.joiner.counts import Counts, OfKind
from feedmill.samples.joiner.joiner import Joiner, State
from feedmill.samples.joiner.samples import Joined

__all__ = ["FEEDBACK", "Counts", "Groups", "JoinConfig", "Joined", "Joiner", "OfKind", "State"]
