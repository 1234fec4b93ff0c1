# Needs make and Python 3.11 to 3.13, nothing else: each target sets up .venv itself.
#     make PYTHON=/path/to/python3.12 demo      chooses the interpreter
#     make CONSTRAINTS=constraints.txt test     installs the versions that continuous integration uses
.DEFAULT_GOAL := help
.PHONY: help demo fast test test-all fuzz bench coverage lint style types format docs book build zoo constraints torch environment clean

VENV := .venv
BIN := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
PY := $(VENV)/$(BIN)/python
SETUP := VENV="$(VENV)" PYTHON="$(PYTHON)" CONSTRAINTS="$(CONSTRAINTS)" sh scripts/environment.sh

help:
	@echo "make demo         train on synthetic microscopy images, evaluate, write a report"
	@echo "make fast         between two edits: style, and the tests that need no training framework"
	@echo "make test         style, types, floors, and the tests on every installed backend"
	@echo "make test T=PATH  only the tests of a room or a file, on the first backend: T=tests/io"
	@echo "make test-all     what make test does, with the slow tests; takes T, too"
	@echo "make fuzz         a minute of files that are nearly right, for every reader"
	@echo "make bench        reunet against its peers, hours; ONLY=\"prediction smp\" for some of it"
	@echo "make coverage     which lines and branches the tests reach on the first backend"
	@echo "make lint         only style, types and floors"
	@echo "make style        only style"
	@echo "make types        only types"
	@echo "make format       mend the style"
	@echo "make docs         write the generated pages of docs/"
	@echo "make book         the book of docs/ as web pages in build/book"
	@echo "make build        wheel and sdist, and a demo from an environment that holds nothing else"
	@echo "make zoo DATA=FOLDER  train the checkpoints of the zoo on public sets, and build their wheel"
	@echo "make constraints  write the installed versions to constraints.txt"
	@echo "make torch        put PyTorch into .venv, so that it is tested, too"
	@echo "make environment  only set up .venv"
	@echo "make clean        remove .venv, builds and caches"

demo:
	@$(SETUP) tensorflow
	$(PY) -m reunet demo --output reunet-demo --overwrite

fast: style
	@$(PY) scripts/run_tests.py --fast

test: $(if $(T),environment,lint)
	@$(PY) scripts/run_tests.py $(T)

test-all: $(if $(T),environment,lint)
	@$(PY) scripts/run_tests.py --slow $(T)

fuzz: environment
	$(PY) benchmarks/fuzz.py

bench: environment
	$(PY) benchmarks/bench.py --only $(ONLY)

coverage: environment
	@$(PY) scripts/run_tests.py --coverage

lint: style types
	$(PY) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

style: environment
	$(PY) -m ruff check
	$(PY) -m ruff format --check

types: environment
	$(PY) -m mypy

format: environment
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

docs: environment
	$(PY) scripts/write_docs.py

book: environment
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet

build: environment
	$(PY) scripts/build.py

zoo: environment
	$(PY) zoo/build.py --data "$(DATA)"

constraints: environment
	$(PY) scripts/write_constraints.py

# Before anything that depends on torch, which could bring a newer one.
torch:
	@$(SETUP)
	$(PY) -m pip install --quiet --constraint constraints.txt torch

environment:
	@$(SETUP) dev docs tensorflow jax onnx int8 litert bioimageio zarr geff microscopy dicom hdf5 video photo cluster serve track

clean:
	rm -rf $(VENV) build dist reunet-demo .coverage coverage.xml
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
