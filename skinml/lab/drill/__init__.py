"""The crash drill: kill runs on purpose, run again, and compare the tables with those of an undisturbed run."""
