"""skinml: dermatoscopic image archives to tables. Research software, not a medical device."""

from skinml.privacy import report_to_nobody

__version__ = "0.1.0"

DISCLAIMER = "Research use only: skinml is not a medical device."

# Here, because every process that works for us imports this first: the command line, training children, and
# Dask workers that somebody else started, as they unpickle their first shard.
report_to_nobody()
