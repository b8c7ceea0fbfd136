"""SKINML_* variables that are not settings of a verb."""

CRASH_AT = "SKINML_CRASH_AT"
"""At which point a run kills itself, for tests and drills: skinml/process/crash_points.py."""

HOME = "SKINML_HOME"
"""The folder of `skinml up` of this user, where a verb looks for its server. Default: ~/.skinml."""

CHILD_OF_UP = "SKINML_CHILD_OF_UP"
"""Marks every process below a `skinml up` with the home folder of that `up`: deployments/up/processes.py."""

NOTIFY_PASSWORD = "SKINML_NOTIFY_PASSWORD"  # noqa: S105 - the name of the variable
"""The password of the user of a mail server, so that it stands on no command line."""

SWITCHES = (CRASH_AT, HOME, CHILD_OF_UP, NOTIFY_PASSWORD)
"""All of them. The command line refuses any other SKINML_* variable that is not a setting."""
