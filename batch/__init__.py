"""The jobs that fill the catalogue from MangaDex and write down what is new."""
