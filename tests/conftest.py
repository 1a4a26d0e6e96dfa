def pytest_configure(config):
    # With `-n`, this process hands tests out to others and needs no TensorFlow.
    if config.option.collectonly or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.process")


def pytest_collection_modifyitems(items):
    """Puts long tests first: the last ones end together in all processes."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
