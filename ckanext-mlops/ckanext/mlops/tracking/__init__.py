"""MLflow servers: which there are, when they are read, the copy of their facts, and the links to them."""
