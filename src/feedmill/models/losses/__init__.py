"""Losses by the name of their paper. Those of retrieval models have one shape: ``losses.reduce`` says which."""

from feedmill.models.losses.contrastive import contrastive
from feedmill.models.losses.hierarchical_softmax import HierarchicalSoftmax
from feedmill.models.losses.huffman import HuffmanTree
from feedmill.models.losses.multi_task import multi_task
from feedmill.models.losses.pointwise import pointwise
from feedmill.models.losses.retrieval import RetrievalLossConfig, retrieval_loss
from feedmill.models.losses.sampled_softmax import sampled_softmax
from feedmill.models.losses.triplet import triplet_hinge, triplet_logistic

__all__ = [
    "HierarchicalSoftmax",
    "HuffmanTree",
    "RetrievalLossConfig",
    "contrastive",
    "multi_task",
    "pointwise",
    "retrieval_loss",
    "sampled_softmax",
    "triplet_hinge",
    "triplet_logistic",
]
