"""From a log to an artifact: the offline pass. Needs the ``train`` extra (torch)."""

from feedmill.train.fit import Fitted, fit

__all__ = ["Fitted", "fit"]
