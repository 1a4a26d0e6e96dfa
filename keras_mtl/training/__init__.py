"""Training and evaluating: what happens between Keras' `fit` and a step."""
