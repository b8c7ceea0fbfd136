"""Is a workspace healthy, and can this installation work? Reads tables and files; loads no Prefect."""
