"""The requests: one frozen model for each verb, one file for each family of verbs."""
