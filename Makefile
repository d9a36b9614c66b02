# make demo   install, train two models on drawn pictures, audit them, say where the report is
# make test   install what the tests need and run them all
# make fuzz   10,000 random cases: formats, metrics, kills (FAIRVISION_FUZZ_SEED=1 for others)
# make test-lowest  run the tests with the lowest versions that pyproject.toml allows
# make lint   style, format and types
# make setup  make .venv with fairvision and its development tools

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-lowest fuzz lint setup clean

setup: .venv/.installed

.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("fairvision needs Python 3.11 or newer: make setup PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/fairvision demo --output fairvision-demo --overwrite

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8

# What is old warns of what it uses that is older still: only our own warnings are errors here.
test-lowest: .venv-lowest/.installed
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest --numprocesses auto --maxprocesses 8 \
		-W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning \
		-W ignore::FutureWarning

.venv-lowest/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python \
		--resolution lowest-direct --editable '.[dev]'
	touch $@

fuzz: setup
	OMP_NUM_THREADS=1 FAIRVISION_FUZZ=$${FAIRVISION_FUZZ:-10000} \
		$(BIN)/python -m pytest tests/fuzz --numprocesses auto --maxprocesses 8

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-lowest fairvision-demo build dist *.egg-info
