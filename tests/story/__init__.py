"""The whole story in one go: `make story`."""
