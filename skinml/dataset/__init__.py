"""Prepare labelled images: read metadata, plan, write shards, find duplicates, assign splits, commit."""
