"""The commands: one table of them, and what each does."""
