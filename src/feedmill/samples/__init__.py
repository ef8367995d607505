"""From the log to training rows: splits, labels, negatives."""

from feedmill.samples.interactions import InterestConfig, interactions
from feedmill.samples.rows import SamplesConfig, sample
from feedmill.samples.splits import Split, split

__all__ = ["InterestConfig", "SamplesConfig", "Split", "interactions", "sample", "split"]
