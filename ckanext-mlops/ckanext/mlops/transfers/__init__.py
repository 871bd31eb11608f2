"""Data on its way: bulk uploads, content of versions from the operator's storages, what is in it, and the audit."""
