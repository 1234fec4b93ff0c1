# Needs make and Python 3.11 to 3.13, nothing else: each target sets up .venv itself.
#     make PYTHON=/path/to/python3.12 demo      chooses the interpreter
.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint docs environment clean

VENV := .venv
BIN := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
PY := $(VENV)/$(BIN)/python
SETUP := VENV="$(VENV)" PYTHON="$(PYTHON)" sh scripts/environment.sh

help:
	@echo "make demo      train on synthetic microscopy images, evaluate, write a report"
	@echo "make test      style, types, floors, and the tests on every installed backend"
	@echo "make test-all  the same with the slow tests"
	@echo "make lint      only style, types and floors"
	@echo "make docs      write the generated pages of docs/"
	@echo "make clean     remove .venv and caches"

demo:
	@$(SETUP) tensorflow
	$(PY) -m reunet demo --output reunet-demo --overwrite

test: lint
	@$(PY) scripts/run_tests.py

test-all: lint
	@$(PY) scripts/run_tests.py --slow

lint: environment
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

docs: environment
	$(PY) scripts/write_docs.py

environment:
	@$(SETUP) dev tensorflow jax onnx int8 litert bioimageio zarr hdf5 video cluster

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
