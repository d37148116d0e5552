"""The seed report measured: each of its claims as data, with what is measured for it and the rule that judges it.

`claim` says what a claim is, `bench` holds what they measure with, `listing` is the code that the report prints, and
the claims stand in one file a family: `memory`, `monitoring`, `tools`, `figures`, `objectives`, `promises`. `study`
puts them together.
"""
