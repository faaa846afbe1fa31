"""What a terminal shows: characters and colours that it has, and what goes on meanwhile."""
