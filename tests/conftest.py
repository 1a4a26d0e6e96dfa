def pytest_configure(config):
    # With `-n`, this process hands tests out to others and needs no TensorFlow.
    if config.option.collectonly or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.process")
