"""Where a model applies: dissimilarity index, area of applicability, local point density."""
