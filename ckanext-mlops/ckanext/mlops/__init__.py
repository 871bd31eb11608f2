"""ckanext-mlops: CKAN as the data catalog of machine learning."""
