"""SKINML_* variables that are not settings of a verb: the home folder, a password, a switch of the drills."""

CRASH_AT = "SKINML_CRASH_AT"
"""At which point a run kills itself: skinml/process/crash_points.py."""

HOME = "SKINML_HOME"
"""The folder of what belongs to this machine and user (default: ~/.skinml)."""

NOTIFY_PASSWORD = "SKINML_NOTIFY_PASSWORD"  # noqa: S105 - the name of the variable
"""The password of the user of a mail server, so that it stands on no command line."""

SWITCHES = (CRASH_AT, HOME, NOTIFY_PASSWORD)
"""All of them. The command line refuses any other SKINML_* variable that is not a setting."""
