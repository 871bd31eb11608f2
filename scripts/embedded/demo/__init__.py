"""The demo: the Titanic project, built, harvested and linked."""
