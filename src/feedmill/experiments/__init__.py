"""Layered experiments: who sees what, since when, and whether it is better."""

from __future__ import annotations

from feedmill.experiments.config import ExperimentsConfig
from feedmill.experiments.definition import Action, Arm, Definition, LayerConfig
from feedmill.experiments.plan import Plan
from feedmill.experiments.record import Assignment, Experiment

__all__ = ["Action", "Arm", "Assignment", "Definition", "Experiment", "ExperimentsConfig", "LayerConfig", "Plan"]
