"""The map of rasters: MapLibre GL as one component, declared by a frozen value."""
