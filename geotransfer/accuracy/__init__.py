"""Error matrices, spatial folds, area estimates, expected accuracy."""
