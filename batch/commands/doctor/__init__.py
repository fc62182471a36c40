"""`doctor`: the checks for the usual mistakes, each with its cure."""
