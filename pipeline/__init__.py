"""From a row of a file to a tracked run of one neuron. Start reading at ``pipeline/run.py``."""
