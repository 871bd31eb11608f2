"""Input schemas of the actions, by noun."""
