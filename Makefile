# Each target makes its own environment when it is missing.
PYTHON ?= python3
BIN := .venv/bin
# Set here, so that users and continuous integration run the same.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_ENABLE_ONEDNN_OPTS ?= 0

.PHONY: demo test quick soak lint bench lowest clean

demo: .venv/installed
	$(BIN)/keras-mtl demo --out runs/demo

test: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

quick: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist worksteal -q \
		-m "not slow and not soak"

# Long forms of the tests: every weighter under every strategy, random kills.
soak: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m soak

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# The tests turn oneDNN off for exact comparisons; users do not.
bench: export TF_ENABLE_ONEDNN_OPTS := 1
bench: .venv/installed
	$(BIN)/keras-mtl bench

# The same tests on the lowest versions that pyproject.toml allows.
lowest: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest -n 2 --dist worksteal -q \
		-m "not slow and not soak"

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[data,report]"
	touch $@

.venv/installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

.venv-lowest/installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --editable ".[test]" \
		--constraint constraints-lowest.txt
	touch $@

clean:
	rm -rf .venv .venv-lowest build *.egg-info
