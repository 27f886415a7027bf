"""One use case per file: load, compute, store."""
