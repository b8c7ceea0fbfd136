"""Puts prepared images into one folder per diagnosis, as links or copies, and overwrites nothing."""
