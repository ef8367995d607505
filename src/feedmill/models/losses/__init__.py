"""Losses by the name of their paper."""

from feedmill.models.losses.multi_task import multi_task_bce
from feedmill.models.losses.sampled_softmax import in_batch_softmax

__all__ = ["in_batch_softmax", "multi_task_bce"]
