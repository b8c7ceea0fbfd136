"""Score an archive: find the new images, predict, commit exactly once."""
