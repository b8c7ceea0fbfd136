"""Tests of what is deployed: images, compose, Kubernetes, and the programs that they call."""
