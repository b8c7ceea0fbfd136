"""Downloads HAM10000 from the ISIC archive's public interface. Only this package uses httpx in `skinml`."""
