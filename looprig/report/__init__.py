"""Values rendered for people and for other programs."""
