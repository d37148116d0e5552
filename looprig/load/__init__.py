"""Load on a chat loop behind HTTP: what is planned, what was recorded, and what that comes to."""
