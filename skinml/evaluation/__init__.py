"""Judge predictions: metrics, intervals, subgroups, two models compared; without storage, Keras or Prefect.

NumPy and pandas do the arithmetic. Intervals of few lesions need SciPy, of the extra `train`, which is loaded
when one is computed; `measure` and `compare` work in a base install.
"""
