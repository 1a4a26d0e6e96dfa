import tensorflow as tf


def call_by_row(step, signals):
    """Calls `step` once for each row of the signals, in one graph.

    Args:
        step: Function of the signals by name, which returns a tensor of
            float32.
        signals: Dict of arrays, their first axis the steps.

    Returns:
        Array of the results, the steps first.
    """
    step = tf.autograph.experimental.do_not_convert(step)

    @tf.function
    def loop(signals):
        (number,) = {len(values) for values in signals.values()}
        results = tf.TensorArray("float32", number)
        for n in tf.range(number):
            row = {name: values[n] for name, values in signals.items()}
            results = results.write(n, step(**row))
        return results.stack()

    given = {n: tf.constant(s, "float32") for n, s in signals.items()}
    return loop(given).numpy()
