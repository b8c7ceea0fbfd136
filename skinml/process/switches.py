"""SKINML_* variables that are not settings but switches of skinml's own tests and drills."""

CRASH_AT = "SKINML_CRASH_AT"
"""At which point a run kills itself: skinml/process/crash_points.py."""

SWITCHES = (CRASH_AT,)
"""All switches. The command line refuses any other SKINML_* variable that is not a setting."""
