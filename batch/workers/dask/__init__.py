"""Workers of a Dask cluster in place of processes of this host."""
