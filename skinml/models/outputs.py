"""The names of a network's input and outputs, and of what it says of itself."""

from __future__ import annotations

from typing import Literal

INPUT_NAME = "pixels"
OUTPUT_NAME = "probabilities"
FEATURES_NAME = "features"
"""An output that only a network fresh from its fit has: `models.outliers` puts a distance in its place."""
CELLS_NAME = "cells"
"""The last layer with places, which `models.head` makes class activation maps of. Scoring never asks for it."""
FIRST_VIEW_NAME = "first_view"
"""The probabilities of the image as it is, (batch, 7); only a network of several views has this output. The
outputs `cells` and `unlike_training` are of this view too."""
Views = Literal[1, 2, 4, 8]
"""How many views of an image a network averages over. 1: the image as it is; 2: and mirrored left to right; 4:
and mirrored top to bottom, and both (half a turn); 8: and all of these transposed, which are the two quarter
turns and the two diagonal mirrors."""
VIEWS_KEY = "skinml.views"
"""The entry of an ONNX file's metadata that says how many views it makes of each image."""
