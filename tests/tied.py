"""A head that is tied to an embedding table."""

import keras


@keras.saving.register_keras_serializable("tests")
class Tied(keras.layers.Layer):
    """Scores of all words, by the table that embeds them."""

    def __init__(self, table, **kwargs):
        super().__init__(**kwargs)
        self.table = table

    def call(self, inputs):
        return inputs @ keras.ops.transpose(self.table.embeddings)

    def get_config(self):
        table = keras.saving.serialize_keras_object(self.table)
        return {**super().get_config(), "table": table}

    @classmethod
    def from_config(cls, config):
        table = keras.saving.deserialize_keras_object(config.pop("table"))
        return cls(table, **config)
