"""Made-up archives, and runs killed on purpose: for the demo, tests and operators. The product imports none."""
