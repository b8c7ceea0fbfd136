"""Prefect flows: each reads from top to bottom like the description of its job."""

import os

# Before Arrow is imported: its own allocator keeps what it once had. A driver that prepares 50,000 images peaks
# at 291 MiB with it and at 265 with the C library's, which gives memory back between stages.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
