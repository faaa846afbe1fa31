"""How fast the project is, as ratios of times that are taken side by side."""
