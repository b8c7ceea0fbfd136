"""Search the structure of a network: the space, proposals, trials on Dask workers, and what came of them."""
