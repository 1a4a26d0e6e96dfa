"""Two replicas on one CPU."""

import functools

import tensorflow as tf


@functools.cache
def two_replicas():
    """Returns the `tf.distribute.MirroredStrategy` of this process.

    TensorFlow aborts the process when a second one is made on the same
    devices, so all tests must share this one. It splits the CPU into two
    logical devices, which works only before TensorFlow runs its first
    operation.

    Example:

    >>> with two_replicas().scope():
    ...     model = make_model()

    Returns:
        A strategy with two replicas, or `None` if TensorFlow has already
        been initialised with a single CPU device.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(cpu) is None:
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        try:
            tf.config.set_logical_device_configuration(cpu, halves)
        except RuntimeError:
            return None
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        return None
    return tf.distribute.MirroredStrategy([d.name for d in devices[:2]])
