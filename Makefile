# Each target makes its own environment when it is missing.
PYTHON ?= python3
BIN := .venv/bin
# Set here, so that users and continuous integration run the same.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_ENABLE_ONEDNN_OPTS ?= 0

.PHONY: demo test quick soak mutants lint docs bench lowest latest dist clean

demo: .venv/installed
	$(BIN)/keras-mtl demo --out runs/demo

# In parts: what XLA has compiled stays in memory while a process lives.
PARTS := files folders
files := tests/test_*.py
folders := $(filter-out %__pycache__/,$(sort $(wildcard tests/*/)))
PYTEST := -m pytest -n 2 --dist worksteal -q

test: .venv/installed-test
	@failed=0; $(foreach part,$(PARTS),\
		$(BIN)/python $(PYTEST) $($(part)) || failed=1;) exit $$failed

# The files of tests/quick.txt, without what is marked slow in them.
QUICK := $(PYTEST) -m "not slow and not soak" \
	$(shell sed 's/[#].*//' tests/quick.txt)

quick: .venv/installed-test
	$(BIN)/python $(QUICK)

# Long forms of the tests: every weighter under every strategy, random kills.
# How far replicas are from one device is in the properties of runs/soak.xml.
soak: .venv/installed-test
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m soak \
		-o junit_family=xunit1 --junitxml=runs/soak.xml

# One-line faults of the core, in a copy; quick tests notice all but a few.
mutants: .venv/installed-test
	$(BIN)/python -m tests.mutants

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# The site, in site/; a broken link or an unknown name in a page ends it.
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The tests turn oneDNN off for exact comparisons; users do not.
bench: export TF_ENABLE_ONEDNN_OPTS := 1
bench: .venv/installed
	$(BIN)/keras-mtl bench

# The quick tests on the lowest versions that pyproject.toml allows.
lowest: .venv-lowest/installed
	.venv-lowest/bin/python $(QUICK)

# The same on the newest versions, release candidates of Keras included.
latest: .venv-latest/installed
	.venv-latest/bin/python $(QUICK)

# Wheel and sdist in dist/. The wheel is installed where no clone is, and runs
# the demo and an example there.
dist: .venv/installed-test
	rm -rf dist build .venv-dist
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip install --quiet \
		"$$(ls $(CURDIR)/dist/*.whl)[data,report]"
	mkdir .venv-dist/outside
	cd .venv-dist/outside && ../bin/keras-mtl demo --epochs 1 --out demo
	cp examples/quickstart.py .venv-dist/outside
	cd .venv-dist/outside && ../bin/python quickstart.py --smoke

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[data,report]"
	touch $@

.venv/installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

.venv/installed-docs: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

# Anew on each call: what was the newest yesterday may not be so today.
.PHONY: .venv-latest/installed
.venv-latest/installed:
	$(PYTHON) -m venv --clear .venv-latest
	.venv-latest/bin/python -m pip install --quiet --upgrade \
		--editable ".[test]"
	.venv-latest/bin/python -m pip install --quiet --upgrade --pre --no-deps \
		keras

.venv-lowest/installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --editable ".[test]" \
		--constraint constraints-lowest.txt
	touch $@

clean:
	rm -rf .venv .venv-lowest .venv-latest .venv-dist build dist site *.egg-info
