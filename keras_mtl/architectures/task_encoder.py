"""What an encoder does that gives each task a representation of its own."""

import keras

from keras_mtl.separate import encode_rows


class TaskEncoder(keras.layers.Layer):
    """An encoder whose output is a dict from task name to representation.

    `MultiTaskModel` passes it all inputs at once, shared ones or a dict of
    separate ones, and each head its task's representation. A subclass defines
    `call` and `layers_of`.

    Args:
        task_names: Iterable of strings.

    Attributes:
        shares_features: Whether `call` takes `return_shared`, as a task
            discriminator needs.

    Call arguments:
        inputs: Inputs for all tasks, or a dict of them by task name.
        training: Boolean, passed to the layers.
        apart: Boolean. Whether separate inputs may pass shared layers task by
            task, so that a task's gradient costs its own rows only.
        return_shared: Boolean. If true, returns a tuple of the
            representations and the features that the tasks share, another
            dict by task name.
    """

    shares_features = False

    def __init__(self, task_names, **kwargs):
        super().__init__(**kwargs)
        self.task_names = tuple(task_names)

    def layers_of(self, task) -> list:
        """Returns the layers that lead to a task's representation.

        What leads to several tasks, or is named for none, is shared.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define layers_of(task)."
        )

    def by_task(self, inputs) -> dict:
        """Returns a dict from task name to inputs, also of shared inputs."""
        if isinstance(inputs, dict) and set(inputs) <= set(self.task_names):
            return inputs
        return dict.fromkeys(self.task_names, inputs)

    def encode_all(self, layer, inputs, training, apart) -> dict:
        """Returns a dict from task name to what a shared layer makes of it.

        Every row passes the layer once.
        """
        if self.by_task(inputs) is inputs:
            return encode_rows(layer, inputs, training, apart)[1]
        return self.by_task(layer(inputs, training=training))
