"""The questions: what each contestant reaches, and how fast it scores."""
