"""The guard: cuts learning off when the joined stream breaks, and says which stretch must not be learned from.

A break of the pipeline (clicks that stop joining, a column that becomes constant) looks to a learner like people who
changed their minds, and an online learner believes it within minutes (He et al. 2014, section 4: protection of the
online joiner).
"""

from feedmill.samples.guard.config import GuardConfig
from feedmill.samples.guard.guard import Guard
from feedmill.samples.guard.verdict import Verdict, verdict_of
from feedmill.samples.guard.windows import Finding, Stretch, Window, quarantined

__all__ = ["Finding", "Guard", "GuardConfig", "Stretch", "Verdict", "Window", "quarantined", "verdict_of"]
