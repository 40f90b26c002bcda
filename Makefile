PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help test test-docs test-oldest demo study bench bench-gpu bench-information bench-features bench-recordings bench-few-labels lint docs clean

help:
	@echo "make test    the tests that need neither minutes nor a GPU"
	@echo "make test-docs    the code of all pages and of the gallery, as a reader would run it"
	@echo "make test-oldest    the same with the oldest release of every dependency that pyproject.toml admits"
	@echo "make demo    features learned without labels on digits, within a minute"
	@echo "make study   the paper's experiments at a small scale: SCALE=cpu FIGURES=3 for more"
	@echo "make bench   a step, a fit, a transform: beside loops by hand, skorch and peers; 10 to 15 minutes"
	@echo "make bench-gpu    tests, steps and CIFAR10 on a GPU, in parts of ten minutes; goes on where it was"
	@echo "make bench-information    MIEstimator on pairs of known mutual information, and by simulation: hours; OTHER=../before for speed"
	@echo "make bench-features    few labels, beside UMAP, CEBRA, lightly, ...: hours; DATA='digits wine' for less"
	@echo "make bench-recordings    few labels, decoding, networks of steps and texts, beside aeon, tsfresh and CEBRA: hours"
	@echo "make bench-few-labels    one estimator with few labels, beside eight others: hours; DATA='digits Chile' for less"
	@echo "make lint    ruff, pyright, codespell, proselint"
	@echo "make docs    the site, into docs/_build/html"
	@echo "make clean   remove the environment and what was built, but no results"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# A stamp says which extras are installed, so that a second call installs nothing.
$(VENV)/installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable ".[$*]"
	touch $@

test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Old releases warn of what came after them; "make test" sees to the warnings that are ours.
OLDEST := .venv-oldest
$(OLDEST)/bin/python:
	$(PYTHON) -m venv $(OLDEST)

$(OLDEST)/installed: pyproject.toml tests/oldest.py | $(OLDEST)/bin/python
	$(OLDEST)/bin/python tests/oldest.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --editable ".[dev]" --constraint $(OLDEST)/constraints.txt
	touch $@

test-oldest: $(OLDEST)/installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest --numprocesses auto --dist worksteal -W ignore::DeprecationWarning

test-docs: $(VENV)/installed-dev $(VENV)/installed-docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "docs or not docs" --numprocesses auto --dist worksteal tests/test_docs.py tests/test_gallery.py tests/test_site.py

demo: $(VENV)/installed-dev
	$(BIN)/sklearn-mi demo

SCALE ?= quick
FIGURES ?= all
RESULTS ?= results/paper_$(SCALE)
study: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/sklearn-mi study paper --figure $(FIGURES) --scale $(SCALE) --jobs 2 --folder $(RESULTS)
	$(BIN)/python examples/paper/report.py $(RESULTS)

# Peers pull in much, and no part of the package needs them: they have an environment of their own.
PEERS := .venv-peers
JOBS ?= 1
DATA ?=
TUNED_ON := digits $(if $(filter cifar10,$(DATA)),cifar10-development)
$(PEERS)/bin/python:
	$(PYTHON) -m venv $(PEERS)

$(PEERS)/installed: pyproject.toml benchmarks/requirements-peers.txt | $(PEERS)/bin/python
	$(PEERS)/bin/python -m pip install --editable . --requirement benchmarks/requirements-peers.txt
	touch $@

bench: $(PEERS)/installed
	$(PEERS)/bin/python benchmarks/speed.py
	$(PEERS)/bin/python benchmarks/methods.py
	$(PEERS)/bin/python benchmarks/system_costs.py

bench-gpu: $(VENV)/installed-dev $(PEERS)/installed
	$(BIN)/python benchmarks/gpu.py --peers $(PEERS)/bin/python
	$(BIN)/python benchmarks/gpu.py --report

bench-information: $(VENV)/installed-dev
	$(BIN)/python benchmarks/information_kinds.py --jobs $(JOBS)
	$(BIN)/python benchmarks/information_tasks.py --jobs $(JOBS)
	$(BIN)/python benchmarks/information_coverage.py --jobs $(JOBS)
	$(BIN)/python benchmarks/information_images.py
	$(if $(OTHER),$(BIN)/python benchmarks/information_speed.py --other $(OTHER))

bench-recordings: $(PEERS)/installed
	$(PEERS)/bin/python benchmarks/recordings.py --jobs $(JOBS)
	$(PEERS)/bin/python benchmarks/decoding.py
	$(PEERS)/bin/python benchmarks/networks.py
	$(PEERS)/bin/python benchmarks/texts.py

bench-few-labels: $(VENV)/installed-dev $(PEERS)/installed
	$(BIN)/python benchmarks/semi_supervised.py --jobs $(JOBS) $(if $(DATA),--data $(DATA))
	$(PEERS)/bin/python benchmarks/semi_supervised.py --only UMAP $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/columns.py
	$(BIN)/python benchmarks/mixed_tables.py

bench-features: $(PEERS)/installed
	$(PEERS)/bin/python benchmarks/features.py --tune --jobs $(JOBS) $(if $(DATA),--data $(TUNED_ON))
	$(PEERS)/bin/python benchmarks/features.py --jobs $(JOBS) $(if $(DATA),--data $(DATA))

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/codespell
	$(BIN)/proselint check $$(git ls-files '*.md' '*.rst')

# Pages of names that are gone would stay.
docs: $(VENV)/installed-docs
	rm -rf docs/generated
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf $(VENV) $(OLDEST) $(PEERS) build dist docs/_build docs/gallery docs/generated
	rm -rf .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
