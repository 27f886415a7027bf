"""ASGI routes that serve rasters and vectors to the map."""
