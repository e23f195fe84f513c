"""`python -m benchmarks compare`: ratios to ceilings, and to what one would run instead, measured in turns."""
