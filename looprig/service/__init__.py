"""A chat loop as an HTTP service: sessions, turns as streams of events, and the invariants on every request of each.

The client is the user: what it posts is said to a loop of its session, and what model and tools of looprig play to
this loop is the script of a scenario. So a load test has a real loop behind a real server, knows what is to come, and
learns whether it stays right.
"""
