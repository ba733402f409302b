# make demo   the whole job on drawn images, offline: one row per image, masks, a report, and the score of the masks
# make test   all tests      make lint   style, types, layers      make bench   the pipeline against its own bound

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13; do \
	"$$name" -c '$(NEW_ENOUGH)' 2>/dev/null && { echo "$$name"; break; }; done)
DEMO := demo-out
BENCH := bench-out
BENCH_FLAGS ?= # e.g. --count 10000 --model PACKAGE --images FOLDER

.PHONY: help demo test lint bench docs venv clean

help:
	@sed -n 's/^# make/make/p' Makefile

# Two stamps: the demo needs less than the tests. Both are renewed when what they install changes.
$(VENV)/demo.stamp: pyproject.toml constraints.txt
	@[[ -n "$(PYTHON)" ]] || { echo "python must be 3.11 or newer with venv, got none; install it or set PYTHON" >&2; exit 2; }
	[[ -x $(BIN)/python ]] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[onnx]'
	.ci/install-debian-packages $(BIN)/python
	touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

venv: $(VENV)/dev.stamp

demo: $(VENV)/demo.stamp
	rm -rf $(DEMO)
	$(BIN)/python examples/cells/generate.py --out $(DEMO) --count 60 --seed 7 --bad
	@echo "Four of the files are no images, on purpose: max_error_frac=0.1 accepts them. By default more than 1 % ends"
	@echo "with exit code 3."
	$(BIN)/millrace run --model examples/cells/package --input $(DEMO)/images --output $(DEMO)/run --set max_error_frac=0.1
	$(BIN)/python examples/cells/show_rows.py $(DEMO)/run
	$(BIN)/python examples/cells/score.py --truth $(DEMO) --predicted $(DEMO)/run/masks --min-iou 0.85
	@test -f $(DEMO)/run/_SUCCESS && echo "The report is at $(DEMO)/run/report/report.html"

test: $(VENV)/dev.stamp
	.ci/install-browser
	.ci/install-display
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp
	rm -rf $(BENCH)
	$(BIN)/python examples/cells/generate.py --out $(BENCH) --count 96 --seed 11
	$(BIN)/python benchmarks/pipeline.py --images $(BENCH)/images --model examples/cells/package --count 1000 $(BENCH_FLAGS)

# The tables of keys in docs/*.md and the schemas for editors.
docs: $(VENV)/dev.stamp
	$(BIN)/python docs/write_reference.py

clean:
	rm -rf $(VENV) $(DEMO) $(BENCH) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
