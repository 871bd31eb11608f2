"""The portal and everything it needs, run from one checkout without administrator's rights.

``commandline``, ``bootstrap`` and ``errors`` use the standard library only: they run before the environment exists.
"""
