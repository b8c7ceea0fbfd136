"""Prefect tasks: names, retries, timeouts, artifacts. They adapt what skinml computes; no arithmetic here."""
