"""The command `keras-mtl`, outside the package, whose import loads TensorFlow.

TensorFlow writes notes to stderr while it is loaded, some of them before it
reads any setting.
"""

import os
import sys


def main():
    """Loads the package without TensorFlow's notes, and runs the command."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        from keras_mtl.checks import need

        need("The command line", ("typer", "rich"), "lab")
        from keras_mtl.lab.cli import app
    except ValueError as error:
        sys.exit(f"Error: {error}")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
    # So that `my_project:Experiment` is found from the user's folder.
    sys.path.insert(0, "")
    app()
