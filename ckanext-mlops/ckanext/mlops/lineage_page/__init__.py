"""What the pages of lineage show: which part of the graph, its words, its tables and its exports. Asks actions only."""
