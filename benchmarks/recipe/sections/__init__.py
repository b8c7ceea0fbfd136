"""The question: the recipe as it is against the recipe without one of its parts."""
