"""What a run found out, for people: on the terminal, as pages and as figures."""
