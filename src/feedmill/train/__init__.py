"""From a log to an artifact: the offline pass. Needs the ``train`` extra (torch)."""

import os

# Threads that wait spin by default, which on a shared machine takes the processor from those that work. Before torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from feedmill.train.fit import Fitted, fit

__all__ = ["Fitted", "fit"]
