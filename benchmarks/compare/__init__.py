"""`python -m benchmarks compare`: ratios to ceilings and to the usual alternatives, measured in turns."""
