"""SKINML_* variables that are no settings: switches of skinml's own tests and drills, all declared here."""

CRASH_AT = "SKINML_CRASH_AT"
"""Where a run kills itself: skinml/process/crash_points.py."""

SWITCHES = (CRASH_AT,)
"""All of them. The command line refuses any other SKINML_* variable that is no setting."""
