"""The questions of the scale benchmark, each of which can be asked alone: a Bench in, raw figures out."""
