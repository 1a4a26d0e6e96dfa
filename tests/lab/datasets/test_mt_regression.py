import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_mtl.lab.datasets import mt_regression


def test_predicting_zero_scores_as_published():
    x, y = mt_regression.generate(seed=0, num_samples=2_000)
    losses = [
        np.mean(np.sum(values**2, axis=1)) / sigma**2
        for sigma, values in enumerate(y.values(), start=1)
    ]
    # 100 E[tanh(t)^2] for t normal of variance 250 * 0.01^2 * (10^2 + 3.5^2).
    assert np.mean(losses) == pytest.approx(57.8, abs=0.5)
    assert x.std() == pytest.approx(0.01, rel=0.01)


def test_seed_decides_and_more_tasks_or_samples_only_add():
    x, y = mt_regression.generate(seed=4, num_tasks=2, num_samples=10)
    more_x, more_y = mt_regression.generate(seed=4, num_tasks=3, num_samples=20)
    np.testing.assert_array_equal(more_x[:10], x)
    np.testing.assert_allclose(more_y["task_2"][:10], y["task_2"], rtol=1e-5)
    other_x, _ = mt_regression.generate(seed=5, num_tasks=2, num_samples=10)
    assert not np.allclose(other_x, x)
    assert x.dtype == y["task_1"].dtype == np.float32


def test_no_task_is_refused():
    with pytest.raises(ValueError, match="`num_tasks` must be at least 1"):
        mt_regression.generate(num_tasks=0)


class MTRegressionTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = mt_regression.MTRegression
    SPLITS = {"train": 7, "test": 3}
    # Nothing is downloaded, but the test case wants a folder.
    EXAMPLE_DIR = "."
    BUILDER_CONFIG_NAMES_TO_TEST = [
        mt_regression.MTRegressionConfig(
            name="small", seed=1, num_tasks=2, num_train=7, num_test=3
        )
    ]

    def test_supervised_pairs_are_those_generated(self):
        builder = self._make_builder(self.BUILDER_CONFIG_NAMES_TO_TEST[0])
        builder.download_and_prepare()
        dataset = builder.as_dataset(split="train", as_supervised=True)
        x, y = mt_regression.generate(seed=1, num_tasks=2, num_samples=7)
        order = np.argsort(x[:, 0])
        loaded = list(tfds.as_numpy(dataset))
        loaded.sort(key=lambda pair: pair[0][0])
        for row, (inputs, labels) in zip(order, loaded, strict=True):
            np.testing.assert_array_equal(inputs, x[row])
            np.testing.assert_array_equal(labels["task_2"], y["task_2"][row])
