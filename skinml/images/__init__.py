"""Decode image files to square RGB pixels, and measure quality and fingerprints."""
