"""The questions of the score benchmark, each of which can be asked alone: a Bench in, raw figures out."""
