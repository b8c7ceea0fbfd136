"""The scale benchmark: what ledger, table of scores and scheduler cost as an archive grows."""
