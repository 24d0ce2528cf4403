# Everything runs in one virtual environment, .venv, at the versions in constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

DOCS   ?= .venv-docs

.PHONY: quickstart test test-slow test-all fuzz mutations lint docs drawings bench

$(READY): setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "nas_tf needs Python 3.11 (TensorFlow 2.15); set PYTHON=/path/to/python3.11"; exit 4; }
	@echo "setting up $(VENV): some 3 GB of packages are fetched once, which takes minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,serving]"
	$(BIN)/pip check
	@touch $@

quickstart: $(READY)
	$(BIN)/nas-tf quickstart --out out/quickstart

test: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal

# In parts, since the memory of graphs that a process has traced is not all returned, and what is
# left of it makes all that follows slower.
SLOW  := $(BIN)/pytest -n 2 --dist worksteal -m slow
ROOMS := $(addprefix tests/,e2e benchmarks cli serving networks training tuner_oracles search spaces)
test-slow: $(READY)
	$(SLOW) tests/e2e
	$(SLOW) tests/benchmarks tests/cli
	$(SLOW) tests/serving
	$(SLOW) tests/networks
	$(SLOW) tests/training
	$(SLOW) tests/tuner_oracles tests/spaces
	$(SLOW) tests/search
	$(SLOW) tests $(addprefix --ignore=,$(ROOMS))

# Every case of what is sampled elsewhere: an hour and a half on two cores.
test-all: $(READY)
	NAS_TF_ALL=1 $(BIN)/pytest -n 2 --dist worksteal -m "slow or not slow"

# Tests look at the same examples every time; this looks for new ones, FUZZ times as many.
FUZZ ?= 4
fuzz: $(READY)
	NAS_TF_FUZZ=$(FUZZ) $(BIN)/pytest -n 2 -m hypothesis --timeout 0
	NAS_TF_FUZZ=$(FUZZ) $(BIN)/pytest -n 2 -m "slow or not slow" --timeout 0 tests/fuzz

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The site has an environment of its own: what makes it and TensorFlow 2.15 do not go together.
$(DOCS)/.ready: constraints-docs.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install --quiet --disable-pip-version-check -c constraints-docs.txt \
	  mkdocs-material 'mkdocstrings[python]' ruff
	@touch $@

docs: $(DOCS)/.ready
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet

# Every known fault that the tests are to find, one by one, in a copy: half an hour on two cores.
mutations: $(READY)
	$(BIN)/python -m tests.mutations

drawings: $(READY)
	$(BIN)/python benchmarks/draw_published.py --out docs/pictures

bench: $(READY)
	$(BIN)/python benchmarks/spaces.py
	$(BIN)/python benchmarks/build.py
