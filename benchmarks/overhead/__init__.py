"""What a night takes beside its work in Dask."""
