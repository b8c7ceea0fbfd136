"""What can be asked of a verb: frozen models, one file a family of verbs."""
