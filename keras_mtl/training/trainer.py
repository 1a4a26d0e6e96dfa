"""Training a model of many tasks, by Keras' own `fit`."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_mtl import compat, distribution, weighters
from keras_mtl.architectures import TaskDiscriminator
from keras_mtl.callbacks.training_monitor import with_monitor
from keras_mtl.checks import fitting
from keras_mtl.data import feeding
from keras_mtl.data.query import QueryArguments
from keras_mtl.data.support_query import SupportQuery
from keras_mtl.data.symbolic import form, symbolic
from keras_mtl.gradients import ForwardPass
from keras_mtl.metrics import TaskMeans
from keras_mtl.tasks import NamedTasks, StackedTasks
from keras_mtl.tasks.loss_weights import as_floats
from keras_mtl.tasks.separate import common_specs
from keras_mtl.training import step
from keras_mtl.training.attachment import attach, build_optimizer, replaced
from keras_mtl.training.evaluator import TaskEvaluator
from keras_mtl.training.logs import plain_logs


class TaskTrainer(TaskEvaluator):
    """What `MultiTaskModel` does in `compile` and `fit`.

    A subclass provides `output_names`, `arrangement`, `discriminator`,
    `has_task_encoder`, `is_separate(inputs)` and `call(inputs, training,
    return_representation)`.
    """

    output_names: tuple[str, ...]
    arrangement: NamedTasks | StackedTasks
    discriminator: TaskDiscriminator | None
    has_task_encoder: bool

    weighter = None
    task_losses = None
    # In the latest `fit`, as has been told.
    absent_tasks: frozenset[str] = frozenset()
    input_structure = output_structure = outputs_of = known_roles = None

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks to weigh: outputs with a loss; all until compiled."""
        losses = self.task_losses
        return self.output_names if losses is None else losses.task_names

    @property
    def task_weights(self) -> dict[str, float]:
        """Dict from task name to its latest weight."""
        self._assert_compile_called("task_weights")
        latest = tf.convert_to_tensor(self.weighter.task_weights).numpy()
        return dict(zip(self.task_names, latest.tolist(), strict=True))

    @compat.no_automatic_dependency_tracking
    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str | dict = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        weighter: weighters.Weighter | str | dict | None = None,
        **kwargs,
    ):
        """Configures training.

        Args:
            optimizer: Keras optimizer or its name.
            loss: Dict from task name to loss, or one loss for every task. An
                output without a loss is predicted and exported only. A head
                that returns a dict, list or tuple has losses nested in the
                same way, and a list of losses for one tensor means their sum.
            loss_weights: Dict from task name to float or `keras.Variable`,
                which is read in each step; multiplies the learned weights.
                For stacked heads also a list of K floats. Nested like a
                task's losses, they weigh these within the task.
            metrics: Dict from task name to metrics, or names of metrics for
                every task. Rows with missing labels are left out.
            weighted_metrics: The same, weighted by `sample_weight`.
            weighter: Name, config dict or `Weighter`; uniform by default.
            **kwargs: `run_eagerly`, `steps_per_execution`, `jit_compile`,
                `auto_scale_loss`, as in `keras.Model.compile`.

        Raises:
            ValueError: If names match no head, or no weighter.
        """
        weighter = weighters.get(weighter)
        self.task_losses = self.checked_losses(loss, loss_weights)
        super().compile(optimizer=optimizer, **kwargs)
        distribution.check_strategy(self.distribute_strategy, self.jit_compile)
        self.labelled_tasks = frozenset()
        self._task_config = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        with self.distribute_strategy.scope():
            self.epoch = keras.Variable(
                0.0,
                dtype="float32",
                trainable=False,
                aggregation="only_first_replica",
                synchronization="on_read",
            )
            self._loss_tracker = TaskMeans(
                self.task_losses, discriminates=self.discriminator is not None
            )
            self._compile_metrics = self.arrangement.metrics(
                metrics, weighted_metrics, self.task_losses
            )
        attach(self, weighter)

    def get_compile_config(self):
        """Returns the arguments of `compile`, with the weighter in use."""
        if not self.compiled:
            return {}
        config = {**super().get_compile_config(), **self._task_config}
        config["loss_weights"] = as_floats(config["loss_weights"])
        for name in self._task_config:
            config[name] = keras.saving.serialize_keras_object(config[name])
        return {**config, "weighter": weighters.serialize(self.weighter)}

    def compile_from_config(self, config):
        """Compiles the model with the result of `get_compile_config()`."""
        with fitting(type(self).__name__, config):
            weighter = weighters.deserialize(config.pop("weighter"))
            config = keras.saving.deserialize_keras_object(config)
            # Resolved on another machine, perhaps.
            if self.distribute_strategy.num_replicas_in_sync > 1:
                config["jit_compile"] = False
            self.compile(**config, weighter=weighter)
            if self.built:
                build_optimizer(self)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[str, Mapping] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        *,
        weighter: weighters.Weighter | str | dict | None = None,
        query_split: float | None = None,
        query_data: Any = None,
        query_batch_size: int | None = None,
        query_rotation: bool = False,
        task: Any = None,
    ) -> keras.callbacks.History:
        """Trains the model, as `keras.Model.fit` does.

        It takes Keras' arguments in the same order; those below differ or are
        new. A call that raises an error before its first step changes nothing.

        Args:
            x: Inputs, or a dict of inputs by task name, whose arrays may
                differ in length. Or batches: a `tf.data.Dataset`, `PyDataset`,
                generator, PyTorch `DataLoader`, or what grain has.
            y: Dict from task name to labels, or stacked labels.
            sample_weight: Dict from task name to weights, 0 where a label is
                missing.
            weighter: Name, config dict or `Weighter` that replaces the
                compiled one.
            query_split: Float in (0, 1), share of each task's rows to learn
                the weights from.
            query_data: Tuple of arrays, or batches as `x` may be.
            query_batch_size: Integer, rows of a query batch that arrays are
                cut into; `batch_size` by default.
            query_rotation: Boolean. Whether each epoch holds out other rows.
            task: For stacked heads, the task that each row of arrays belongs
                to: integers or names, `(n,)`.

        Returns:
            A `History` with `loss`, and `<task>_loss`, `<task>_weight` and
            `<task>_<metric>` of every task, means over the epoch.

        Raises:
            ValueError: If data do not match the tasks, or query data are
                needed and not given.
        """
        self._assert_compile_called("fit")
        names = inspect.signature(keras.Model.fit).parameters
        given = {n: v for n, v in locals().items() if n in {*names, "task"}}
        given.pop("self")
        weighter = weighters.get(weighter or self.weighter)
        distribution.share_seed(self.distribute_strategy)
        query = QueryArguments(
            query_split, query_data, query_batch_size, query_rotation
        )
        fit = feeding.training_arguments(self, weighter, given, query)
        fit["callbacks"] = with_monitor(self, fit)
        with replaced(self, weighter):
            return super().fit(**fit)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[str, Mapping] | None = None,
        return_dict: bool = False,
        query_data: tuple | None = None,
    ):
        """Runs one step, as `keras.Model.train_on_batch` does.

        Args:
            x: Inputs.
            y: Dict from task name to labels.
            sample_weight: Dict from task name to weights.
            class_weight: Dict from task name to a dict from class to weight.
            return_dict: Boolean, whether to return a dict.
            query_data: Tuple `(x, y)` or `(x, y, sample_weight)`.
        """
        self._assert_compile_called("train_on_batch")
        batch = (x, y, sample_weight)
        batch = feeding.batch_with_query(self, batch, query_data, class_weight)
        self._maybe_symbolic_build(data_batch=batch)
        self.make_train_function()
        self.reset_metrics()
        logs = plain_logs(self.train_function(iter([batch])))
        return logs if return_dict else self._flatten_metrics_in_order(logs)

    def train_step(self, data, holds=False):
        """Runs one step on a batch; see `training.step.train_step`."""
        step.train_step(self, data, holds)
        return self.step_logs(training=True)

    def test_step(self, data):
        """Returns losses and metrics, with the fixed weights only."""
        data = keras.utils.unpack_x_y_sample_weight(data)
        batch = ForwardPass(self, data, training=False)
        self._loss_tracker.update_state(batch)
        self._compile_metrics.update_batch(batch)
        return self.step_logs(training=False)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # From the specification: Keras would take a batch, and cannot reduce
        # one that is spread over workers.
        if iterator is not None:
            data_batch = iterator.data_adapter.get_tf_dataset().element_spec
        batch = keras.tree.map_structure(symbolic, data_batch)
        if isinstance(batch, SupportQuery):
            self.arrangement.check_batch(batch.query)
            batch = batch.support
        x, y, _ = self.arrangement.check_batch(batch)
        with self.distribute_strategy.scope():
            metrics, means = self._compile_metrics, self._loss_tracker
            if not (self.built and means.has_layout and metrics.covers(y)):
                outputs = self.build_from_inputs(x)
                means.lay_out(outputs)
                metrics.build(self.arrangement.labels(x, y), outputs)
                # Its logs would lack the new metrics.
                self.train_function = self.test_function = None
            build_optimizer(self)

    def build_from_inputs(self, inputs):
        """Builds all layers for inputs of these shapes.

        Args:
            inputs: Structure of `keras.KerasTensor`.

        Returns:
            Dict from task name to symbolic prediction, or all stacked.
        """
        if self.outputs_of == form(self, given := inputs):
            return self.output_structure
        if self.is_separate(inputs) and not self.has_task_encoder:
            # Alike for all tasks: heads of absent ones are built, too.
            like = next(iter(inputs.values()))
            inputs = {t: inputs.get(t, like) for t in self.output_names}
        self.remember_inputs(self.arrangement.take_ids(inputs)[0])
        outputs = compat.compute_output_spec(self, inputs, training=False)
        self.built, self.outputs_of = True, form(self, given)
        self.output_structure = outputs
        return outputs

    def remember_inputs(self, inputs):
        """Notes the shapes and types of the first inputs."""
        if self.input_structure is None:
            separate = self.is_separate(inputs)
            self.input_structure = common_specs(inputs, separate)
