"""Plan: records to package dicts, and what an apply would change. Imports no CKAN."""
