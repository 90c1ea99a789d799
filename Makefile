# Python 3.11+ and make are all that is needed: each verb makes .venv for itself.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test quick fmt check nb docs soak bench clean

demo: .venv/.installed
	$(BIN)/quickvision demo

test: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

quick: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m "not slow"

check: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: .venv/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: .venv/.installed-dev
	QUICKVISION_KILLS=30 $(BIN)/python -m pytest tests/test_kills.py
	QUICKVISION_REQUESTS=20000 $(BIN)/python -m pytest tests/web/test_service.py -k many_clients

nb: .venv/.installed-dev
	QUICKVISION_EXECUTED=build/notebooks $(BIN)/python -m pytest tests/test_notebooks.py -k runs_without

docs: .venv-docs/.installed
	.venv-docs/bin/python handbook/build.py

bench: .venv/.installed-dev
	$(BIN)/python benchmarks/import_time.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/decode.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/check.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/serve.py

clean:
	rm -rf .venv .venv-docs runs site build

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e .
	touch $@

.venv/.installed-dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]" --group docs
	touch $@ .venv/.installed

.venv-docs/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --upgrade pip
	.venv-docs/bin/python -m pip install --quiet --group docs
	touch $@
