"""Label files in: read, check, explain every rejected row."""
