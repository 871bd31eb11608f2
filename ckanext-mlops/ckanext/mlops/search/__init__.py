"""Find: what Solr gets of a dataset, and what people may type into the search box. CKAN's stock schema is enough."""
