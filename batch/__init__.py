"""The batch: jobs that fill the catalogue from MangaDex and record what is new."""
