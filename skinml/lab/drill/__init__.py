"""The drill: runs are killed on purpose, run again, and their tables compared with an undisturbed run's."""
