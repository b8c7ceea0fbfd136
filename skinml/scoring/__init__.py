"""An archive to scores: what is new, predict, commit."""
