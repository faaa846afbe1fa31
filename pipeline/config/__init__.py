"""Settings: their classes, how they are checked, and how Hydra composes them."""
