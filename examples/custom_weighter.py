"""
Title: A weighter of your own
Author: keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Write a task weighter in thirty lines; check, train and save it.
Accelerator: None
"""

"""
## Introduction

A weighter is a Keras layer that turns *signals* of the training step, such as
the tasks' losses, into one weight per task. The names of the parameters of
`call` say which signals it needs, and the training step measures just those.
`keras_mtl.signals.SIGNALS` lists them.

Run this file with `--smoke` for a short version.
"""

import argparse

import keras
import numpy as np
from keras import ops

from keras_mtl import MultiTaskModel
from keras_mtl.testing import check_weighter, two_replicas
from keras_mtl.weighters import Weighter

parser = argparse.ArgumentParser(description="A weighter of your own.")
parser.add_argument("--smoke", action="store_true", help="run for seconds only")
smoke = parser.parse_args().smoke

# The check below needs a second device, of which TensorFlow must know early.
two_replicas()
keras.utils.set_random_seed(0)

"""
## The weighter

Ours divides each loss by its own running average: a task whose losses are a
hundred times larger shall not count a hundred times as much.

- `build` makes the state, here one average per task. `add_state` makes it a
  variable that is saved with the model.
- `call` updates the state and returns the weights. `present` is 0 for a task
  without any label in the batch, whose loss says nothing; on plain numbers it
  may be left out.
- `get_config` returns the constructor's arguments, and the decorator registers
  the class, so that a saved model can be loaded without further ado.
"""


@keras.saving.register_keras_serializable(package="my_project")
class InverseLoss(Weighter):
    """Weights inversely proportional to the running average of each loss."""

    def __init__(self, momentum=0.9, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum

    def build(self, losses_shape):
        self.average = self.add_state("average", losses_shape)
        self.steps = self.add_state("steps", losses_shape)

    def call(self, losses, present=None):
        present = ops.ones_like(losses) if present is None else present
        steps = self.steps + present
        # A plain mean at first, then a moving average.
        rate = ops.maximum(1.0 / ops.maximum(steps, 1.0), 1.0 - self.momentum)
        average = self.average + present * rate * (losses - self.average)
        self.steps.assign(steps)
        self.average.assign(average)
        seen = ops.cast(steps > 0.0, "float32")
        inverse = seen / ops.maximum(average, 1e-8)
        scale = ops.sum(seen) / ops.maximum(ops.sum(inverse), 1e-8)
        return ops.where(steps > 0.0, scale * inverse, 1.0)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


"""
A weighter also works on plain numbers, outside a model:
"""

print("weights:", ops.convert_to_numpy(InverseLoss()([1.0, 3.0])))

"""
## The check

`check_weighter` tries what training may do to a weighter: huge, tiny and
missing losses, other numbers of tasks, XLA, mixed precision, two replicas,
saving in mid-training. It raises an error that lists what does not work.
"""

check_weighter(InverseLoss, num_tasks=(3,) if smoke else (1, 2, 3, 10))
print("check_weighter found nothing wrong.")

"""
## Training

Two regression tasks on the same inputs. The second's loss is about 100 times
the first's.
"""

rng = np.random.default_rng(0)
x = rng.normal(size=(256 if smoke else 4_096, 8)).astype("float32")
y = {
    "small": np.sin(x @ rng.normal(size=(8, 1))),
    "large": 10.0 * np.sin(x @ rng.normal(size=(8, 1))),
}
inputs = keras.Input((8,))
hidden = keras.layers.Dense(64, activation="relu")(inputs)
encoder = keras.Model(inputs, hidden)
heads = {task: keras.layers.Dense(1) for task in y}

model = MultiTaskModel(encoder, heads)
model.compile("adam", loss="mse", weighter=InverseLoss(momentum=0.99))
model.fit(x, y, epochs=2 if smoke else 10, verbose=2)
print("weights:", model.task_weights)

"""
## Saving and loading

The file holds the weighter and its state.
"""

model.save("custom_weighter.keras")
same_model = keras.saving.load_model("custom_weighter.keras")
print("loaded:", type(same_model.weighter).__name__, same_model.task_weights)
assert same_model.task_weights == model.task_weights
same_model.fit(x, y, epochs=1, verbose=2)
