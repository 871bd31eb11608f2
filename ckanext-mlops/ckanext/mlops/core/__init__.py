"""Read and relate: Git, DVC, git-lfs and MLflow facts as frozen records. Imports no CKAN."""
