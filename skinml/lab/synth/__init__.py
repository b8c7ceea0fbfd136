"""Make synthetic archives in HAM10000's layout: drawn lesions, metadata, and broken files on request."""

from skinml.lab.synth.archive import Archive, make_archive

__all__ = ["Archive", "make_archive"]
