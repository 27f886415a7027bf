"""Scenes to maps: read, mask, composite, features, prediction, rasters."""
