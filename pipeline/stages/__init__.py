"""The stages, in the order in which they run: read validate split encode train evaluate explain."""
