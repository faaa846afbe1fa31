"""A run is made again from its record and compared bit by bit, or handed on as one file."""
