"""The gate: limits, a baseline and one run, turned into one exit code."""
