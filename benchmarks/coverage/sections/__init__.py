"""The question of the coverage benchmark: a Bench in, raw figures out."""
