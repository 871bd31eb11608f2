"""All actions; each module holds those of one noun."""
