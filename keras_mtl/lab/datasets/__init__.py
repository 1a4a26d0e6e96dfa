"""Data sets of several tasks, as TensorFlow Datasets builders and loaders.

Importing this package registers the builders: `tfds.load("mt_regression")`.
It needs the extra: `pip install "keras_mtl[data]"`.
"""

from keras_mtl.lab.datasets.census import Census as Census
from keras_mtl.lab.datasets.census import load_census as load_census
from keras_mtl.lab.datasets.digits import overlaid_digits as overlaid_digits
from keras_mtl.lab.datasets.mt_regression import MTRegression as MTRegression
from keras_mtl.lab.datasets.sentiment import Sentiment as Sentiment
from keras_mtl.lab.datasets.sentiment import load_sentiment as load_sentiment
from keras_mtl.lab.datasets.topics import Topics as Topics
from keras_mtl.lab.datasets.topics import load_topics as load_topics
