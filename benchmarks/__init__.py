"""Benchmarks of skce and its peers, on the same problems, to the same gap in the objective."""
