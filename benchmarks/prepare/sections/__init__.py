"""The questions of the prepare benchmark, each of which can be asked alone: a Bench in, raw figures out."""
