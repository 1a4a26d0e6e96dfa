"""A worker that only pretends to train, and comparisons by it."""

import io

from rich.console import Console

from keras_mtl.lab.comparisons.comparing import compare

# Accuracy 0.5 + learning rate, but 0.1 above 1e-3; `mgda` fails.
WORKER = """
import json, sys
BROKEN = 0.0
job = json.load(sys.stdin)
settings = job["settings"]
print("not JSON")
print(json.dumps({"epoch": 1, "epochs": 2, "loss": 0.5}), flush=True)
if settings["weighter"] == "mgda" or settings.get("learning_rate") == BROKEN:
    raise RuntimeError("out of luck")
rate = settings.get("learning_rate", 0.25)
score = 0.5 + rate if rate != 5e-3 else 0.1
metrics = {"validation_score": score, "seen": job}
if job["test"]:
    metrics["test_accuracy"] = score
print(json.dumps({"result": {"metrics": metrics}}), flush=True)
"""


def run(tmp_path, methods, **arguments):
    console = Console(file=io.StringIO())
    out = tmp_path / "out"
    return compare("demo", methods, out, console, **arguments)
