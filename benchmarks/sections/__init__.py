"""The parts of the prepare benchmark, each of which can be run alone: a Bench in, raw figures out."""
