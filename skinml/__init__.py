"""skinml: dermatoscopic image archives to tables. Research software, not a medical device."""

__version__ = "0.1.0"

DISCLAIMER = "Research use only: skinml is not a medical device."
