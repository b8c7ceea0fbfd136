"""How often the gate promotes a model that is no better, and how often one that is."""
