"""The neuron as an estimator of scikit-learn."""
