"""Documents: latency, throughput, memory and freshness of the engines, and of `unified` beside `search`."""
