"""Adam in float64 NumPy, with bias corrections as Kingma and Ba print them."""

import numpy as np


class Adam:
    """Epsilon and betas are those of PyTorch."""

    def __init__(self, size):
        self.mean, self.square, self.steps = np.zeros(size), np.zeros(size), 0

    def direction(self, gradient):
        self.steps += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.mean / (1 - 0.9**self.steps)
        return mean / (np.sqrt(self.square / (1 - 0.999**self.steps)) + 1e-8)
