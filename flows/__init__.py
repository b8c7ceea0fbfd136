"""Prefect flows: each reads from top to bottom like the description of its job."""

import os

import skinml  # noqa: F401 - before Prefect, which reports its import unless it is told not to

# Before Arrow is imported: its own allocator keeps what it once had. A driver that prepares 50,000 images peaks
# at 291 MiB with it and at 265 with the C library's, which gives memory back between stages.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

DISTRIBUTION = "skinml"
"""Whose package this is: skinml/__main__.py looks. If two distributions have a package `flows`, pip lets the
files of the one that is installed later replace the other's."""
