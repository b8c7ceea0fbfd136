"""The question of the accuracy benchmark: a Bench in, raw figures out."""
