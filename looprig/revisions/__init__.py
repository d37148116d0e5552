"""Two git revisions of the loop under test, each in a work tree and an environment of its own."""
