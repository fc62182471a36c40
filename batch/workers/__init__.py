"""Where the tasks of a run are done: processes of this host, or a Dask cluster."""
