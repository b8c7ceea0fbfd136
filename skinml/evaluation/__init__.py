"""Judge predictions: metrics and their intervals, without storage, Keras or Prefect.

The metrics are scikit-learn's and SciPy's, of the extra `train`, because only training measures. Neither is
loaded before a metric is computed.
"""
