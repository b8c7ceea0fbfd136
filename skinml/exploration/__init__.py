"""Shows the prepared samples to people: counts, figures, examples, duplicates, suspicious labels, one page."""
