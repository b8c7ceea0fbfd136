"""skinml turns archives of dermatoscopic images into tables. Research software, not a medical device."""

from skinml.privacy import report_to_nobody

__version__ = "0.1.0"

DISCLAIMER = "Research use only: skinml is not a medical device."

# Called here because every process of ours imports this module first: the command line, training processes, and
# Dask workers of an existing cluster when they unpickle their first shard.
report_to_nobody()
