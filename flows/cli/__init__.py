"""The command line `skinml`: the table of verbs, parsing, settings, printing."""
