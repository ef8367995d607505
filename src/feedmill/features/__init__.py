"""From what the state knows to what a model reads: one spec, one ``assemble``, for training and for serving."""

from feedmill.features.assemble import FeatureBatch, assemble
from feedmill.features.spec import FeaturesConfig, FeatureSpec, Field, Numeric

__all__ = ["FeatureBatch", "FeatureSpec", "FeaturesConfig", "Field", "Numeric", "assemble"]
