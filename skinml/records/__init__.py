"""The records of a workspace: runs, running runs, quarantine, export, and upkeep of the tables."""
