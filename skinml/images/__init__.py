"""Bytes to pixels: decode, orient, resize, measure."""
