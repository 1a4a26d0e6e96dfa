"""The laboratory: experiments, comparisons, benchmarks, command line.

`Experiment`, or `ClassificationExperiment`, is what an experiment of your own
derives from; its `load` returns `Parts`. Then
`keras-mtl compare my_project:MyExperiment --out DIR` compares weighters on it.

Nothing outside imports the laboratory, but for `keras_mtl.compare` and
`keras_mtl.benchmark`, which are loaded on demand.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_mtl.lab.experiments.classification import (
        ClassificationExperiment,
    )
    from keras_mtl.lab.experiments.experiment import Experiment
    from keras_mtl.lab.experiments.parts import Parts, Score

# Loaded on demand: data sets and commands do without them.
ENTRANCE = {
    "ClassificationExperiment": "classification",
    "Experiment": "experiment",
    "Parts": "parts",
    "Score": "parts",
}

__all__ = ["ClassificationExperiment", "Experiment", "Parts", "Score"]


def __getattr__(name):
    if name in ENTRANCE:
        module = f"keras_mtl.lab.experiments.{ENTRANCE[name]}"
        return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
