"""What several architectures share. The zoo looks for architectures in the folder above, not here."""
