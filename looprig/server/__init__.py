"""The strict model over HTTP: plays a scenario for any number of sessions, and judges what they send."""
