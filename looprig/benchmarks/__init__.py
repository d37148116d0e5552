"""Users' own benchmarks, as they are written for pytest-benchmark: timed in pairs, and read from its stored runs."""
