"""The experiments of the papers, runnable from the command line."""


def make_experiment(name, **settings):
    """Returns the experiment `name`; settings not given are its defaults.

    Args:
        name: String, `"mtregression"`, `"topics"`, `"sentiment"` or
            `"digits"`.
        **settings: Fields of the experiment.

    Raises:
        ValueError: If the name or a setting is unknown.
    """
    # Here, since some experiments import optional dependencies.
    from keras_mtl.checks import one_of
    from keras_mtl.experiments.digits import DigitsExperiment
    from keras_mtl.experiments.mtregression import MTRegressionExperiment
    from keras_mtl.experiments.sentiment import SentimentExperiment
    from keras_mtl.experiments.topics import TopicsExperiment

    known = {
        experiment.name: experiment
        for experiment in (
            MTRegressionExperiment,
            TopicsExperiment,
            SentimentExperiment,
            DigitsExperiment,
        )
    }
    experiment = known[one_of("experiment", name, known)]
    for setting in settings:
        if setting not in experiment.__dataclass_fields__:
            raise ValueError(
                f"The experiment {name!r} has no setting {setting!r}. "
                f"Settings: {[*experiment.__dataclass_fields__]}"
            )
    return experiment(**settings)
