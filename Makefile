# make demo   install, train two models on drawn images, audit them, say where the report is
# make test   install what the tests need and run them all; fails where too few lines are run
# make quick  the same, without measuring which lines are run
# make test-lowest  the tests with the lowest versions that pyproject.toml allows
# make test-newest  the tests with the newest versions that there are
# make test-engines  the tests with Spark and Ray, which need Java and much room on the disk
# make check-dependencies  licences and known vulnerabilities of what comes along with fairvision
# make fuzz   10,000 random cases: formats, metrics, kills (FAIRVISION_FUZZ_SEED=1 for others)
# make browser  install what the tests of pages need: Chromium and axe-core
# make lint   style, format and types
# make docs   write the table of metrics into docs/design.md, and the site of docs/ into site/
# make dist   what is uploaded to PyPI: a wheel and an sdist, checked
# make tables only the table of metrics
# make setup  make .venv with fairvision and its development tools

PYTHON ?= python3
BIN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8

.PHONY: demo test quick test-lowest test-newest test-engines check-dependencies fuzz browser lint \
	docs dist tables setup clean

setup: .venv/.installed

.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("fairvision needs Python 3.11 or newer: make setup PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev,docs]'
	touch $@

docs: tables build/notebooks/.ran
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

dist: setup
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

build/notebooks/.ran: setup $(wildcard docs/notebooks/*.ipynb)
	OMP_NUM_THREADS=2 $(BIN)/python docs/hooks/run_notebooks.py build/notebooks
	touch $@

tables: setup
	$(BIN)/python -m fairvision.results.documentation docs/design.md

demo: setup
	$(BIN)/fairvision demo --output fairvision-demo --overwrite

test: setup browser
	$(PYTEST) --cov

quick: setup browser
	$(PYTEST)

# What is old warns of what it uses that is older still: only our own warnings are errors here.
test-lowest: BIN := .venv-lowest/bin
test-lowest: .venv-lowest/.installed browser
	$(PYTEST) -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning \
		-W ignore::FutureWarning

.venv-lowest/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python \
		--resolution lowest-direct --editable '.[dev]'
	touch $@

# What is newest changes from day to day, so it is asked for each time.
test-newest: BIN := .venv-newest/bin
test-newest: browser
	$(PYTHON) -m venv .venv-newest
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable '.[dev]'
	$(PYTEST)

test-engines: BIN := .venv-engines/bin
test-engines: .venv-engines/.installed
	.ci/java
	FAIRVISION_ENGINES=true OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/engines

.venv-engines/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python -m pip install --quiet --upgrade pip
	.venv-engines/bin/python -m pip install --quiet --editable '.[dev,engines]'
	touch $@

# Of the extras whose packages the code imports: what is newest, as pip would install it today.
IMPORTED := clip duckdb hf masks onnx tracking
check-dependencies: setup .venv-tools/.installed
	mkdir -p build
	.venv-tools/bin/uv pip compile --quiet --no-header --no-annotate pyproject.toml \
		$(IMPORTED:%=--extra %) --python $(BIN)/python --output-file build/dependencies.txt
	.venv-tools/bin/pip-licenses --python $(BIN)/python --summary \
		--packages $$(sed -n 's/==.*//p' build/dependencies.txt)
	.venv-tools/bin/pip-audit --requirement build/dependencies.txt --no-deps --disable-pip

.venv-tools/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-tools
	.venv-tools/bin/python -m pip install --quiet pip-audit pip-licenses uv
	touch $@

fuzz: setup
	FAIRVISION_FUZZ=$${FAIRVISION_FUZZ:-10000} $(PYTEST) tests/fuzz

browser:
	.ci/browser

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-* fairvision-demo build dist site *.egg-info .coverage*
