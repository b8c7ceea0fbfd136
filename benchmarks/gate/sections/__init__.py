"""The questions of the gate's benchmark: a Bench in, raw figures out."""
