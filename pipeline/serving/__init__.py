"""A trained neuron where it is asked: compiled, served with its contract, and as SQL."""
