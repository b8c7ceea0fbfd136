"""Labelled images to a dataset: metadata, plan, shards, splits, resampling."""
