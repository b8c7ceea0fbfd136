"""The question of the thesis's table: recorded training runs in, raw figures out."""
