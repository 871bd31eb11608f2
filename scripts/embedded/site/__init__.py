"""CKAN's side of the portal: its configuration, its processes, its first user. docker/ uses the same files."""
