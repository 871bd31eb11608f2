"""Harvest: gather a plan from a repository, apply it to the catalog, tell people, take it back."""
