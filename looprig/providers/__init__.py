"""The providers' wire formats and request rules."""
