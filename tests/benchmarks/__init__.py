"""The benchmarks' arithmetic, inputs, peers, checks and documents. What anything takes decides no test."""
