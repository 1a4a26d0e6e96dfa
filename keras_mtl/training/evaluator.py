"""Evaluating a model of many tasks, by Keras' own `evaluate` and `predict`."""

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl import compat, distribution
from keras_mtl.callbacks.progress_line import with_line
from keras_mtl.data import feeding
from keras_mtl.data.symbolic import as_tensor
from keras_mtl.gradients.local_losses import divided, packed
from keras_mtl.training.logs import LoggingModel

# What Keras' own steps call, and ours do not.
NOT_CALLED = ("compute_loss", "compute_metrics")


def check_overrides(model_class):
    """Raises if a subclass overrides what would not be called, or not so.

    Raises:
        ValueError: With what to override instead.
    """
    for name in NOT_CALLED:
        if getattr(model_class, name) is not getattr(TaskEvaluator, name):
            raise ValueError(
                f"{model_class.__name__} overrides `{name}`, which is not "
                "called: tasks are weighed by losses and gradients of their "
                "own. Pass losses and metrics by task to compile(), call "
                "add_loss() in a layer, or override `train_step` and "
                "`test_step`."
            )
    parameters = inspect.signature(model_class.call).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return
    if not {"training", "return_representation", "apart"} <= set(parameters):
        raise ValueError(
            f"{model_class.__name__} overrides `call` without all of its "
            "arguments. Take `call(self, inputs, **kwargs)`, and pass `kwargs` "
            "on to super().call(); or put the layers into the encoder."
        )


class TaskEvaluator(LoggingModel):
    """What `MultiTaskModel` does in `evaluate` and `predict`.

    Arguments are those of `keras.Model`, in the same order; inputs and labels
    may be dicts by task name whose arrays differ in length.
    """

    train_function: Any  # Keras makes it when it is needed.

    task_names: tuple[str, ...]
    arrangement: Any
    task_losses: Any

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        check_overrides(cls)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ):
        """Returns the loss of a batch that `evaluate` reports.

        That is the sum of the tasks' losses times `loss_weights`, without the
        learned weights, and what layers add. Of several replicas, each has
        its share of the sum. `fit` does not call it; a `train_step` of your
        own may.

        Args:
            x: Inputs.
            y: Dict from task name to labels.
            y_pred: What the model returned for `x`.
            sample_weight: Dict from task name to weights.
            training: Boolean, of no effect.
        """
        del training
        self._assert_compile_called("compute_loss")
        x, y, sample_weight = (
            keras.tree.map_structure(as_tensor, part)
            for part in (x, y, sample_weight)
        )
        labels = self.arrangement.labels(x, y)
        local = self.task_losses(labels, y_pred, sample_weight)
        values = divided(local, packed(local, 0, 0.0))
        values = tf.concat([tf.reshape(v, [-1]) for v in values], axis=0)
        total = tf.reduce_sum(self.task_losses.loss_weights * values)
        share = 1.0 / distribution.num_replicas()
        own = [tf.cast(loss, "float32") * share for loss in self.losses]
        return tf.add_n([total, *own])

    @compat.builds_by_call
    def build(self, input_shape):
        """Does nothing: calling the model has built its layers.

        But its weighter, which may wait for their number. Keras would warn.
        """
        del input_shape
        self.built = True

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        return_dict: bool = False,
        task: Any = None,
        **kwargs,
    ):
        """Returns losses and metrics, as `keras.Model.evaluate` does.

        `loss` is the sum of the tasks' losses times `loss_weights`, without
        the learned weights. With stacked heads, `task` names the task that
        each row of arrays belongs to.
        """
        # Within `fit`, Keras goes on with batches that were looked at once.
        if not kwargs.get("_use_cached_eval_dataset"):
            x, y, sample_weight = feeding.evaluation_data(
                self, x, y, sample_weight, batch_size, task
            )
        return super().evaluate(
            x,
            y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=with_line(self.task_names, callbacks, verbose),
            return_dict=return_dict,
            **kwargs,
        )

    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
    ):
        """Returns those of one batch, as `keras.Model.test_on_batch` does."""
        self._assert_compile_called("test_on_batch")
        x, y, sample_weight = feeding.evaluation_batch(
            self, x, y, sample_weight
        )
        return super().test_on_batch(x, y, sample_weight, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        task: Any = None,
    ):
        """Returns a dict from task name to predictions, as arrays.

        Stacked heads return one array. With `task`, the task of each row
        (integers or names), they return the prediction of that task alone,
        `(n, units)`.
        """
        x, *_ = feeding.evaluation_data(
            self, x, batch_size=batch_size, task=task
        )
        return super().predict(x, batch_size, verbose, steps, callbacks)
