"""How fast a network is fitted, beside Keras alone, and what a fit needs of memory and processors."""
