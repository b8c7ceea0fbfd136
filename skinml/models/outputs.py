"""The names of a network's input and outputs."""

from __future__ import annotations

INPUT_NAME = "pixels"
OUTPUT_NAME = "probabilities"
FEATURES_NAME = "features"
"""An output that only a network fresh from its fit has: `models.outliers` puts a distance in its place."""
CELLS_NAME = "cells"
"""The last layer with places, which `models.head` makes class activation maps of. Scoring never asks for it."""
