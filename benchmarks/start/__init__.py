"""How long the command line takes to start, and what that time goes into."""
