"""Data sets of several tasks: mixed, masked, split into support and query."""

from keras_mtl.data.masking import mask_missing as mask_missing
from keras_mtl.data.mixing import task_batches as task_batches
from keras_mtl.data.support_query import SupportQuery as SupportQuery
from keras_mtl.data.support_query import (
    support_query_split as support_query_split,
)
from keras_mtl.data.support_query import zip_support_query as zip_support_query
