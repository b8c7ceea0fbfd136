"""The parts of the score benchmark, each of which can be run alone: a Bench in, raw figures out."""
