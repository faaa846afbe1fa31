"""What each command does, and what it prints; ``cli.table`` lists them."""
