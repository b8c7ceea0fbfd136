"""`skinml up`: server, schedules and workers on this machine. deployments/up/run.py has the story."""
