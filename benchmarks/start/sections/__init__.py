"""The questions of the start benchmark, each of which can be asked alone: a Bench in, raw figures out."""
