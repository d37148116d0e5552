"""Trimmers under test: any function from a history to a shorter one, judged by itself, without a loop around it."""
