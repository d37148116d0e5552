"""Conformance: the trimmers and agents of frameworks under test, each in an environment of its own."""
