"""The harness of all benchmarks: inputs, measuring programs, contests, records, tables and plots."""
