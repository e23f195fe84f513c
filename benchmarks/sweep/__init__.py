"""`python -m benchmarks sweep`: throughput and latency by sequence length and concurrency, over three encoders.

Each cell loads a live server over gRPC with Korean texts of exactly so many tokens and adds a line to a file; the same
command goes on where it was stopped. The page and the plots are made from that file alone.
"""
