"""How good predictions are, and how sure that is: statistics without storage, Keras or Prefect."""
