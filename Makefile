# make run      three nodes and three workers (Ctrl-C ends them)
# make test     the tests          make lint        ruff, mypy, the layers, the schema
# make bench    the figures        make test-crash  kill -9 at random moments, at each step
# make test-slow     the tests that take longest
# make test-servers  the tests that run PostgreSQL, nginx, HAProxy or Prometheus
# make fuzz     a minute of odd blocks, the node's verdicts against a model's
# make wheels   shows that every dependency installs from wheels, on each Python and system
# make docs     docs/cli.md, from the commands
# make clean    takes away .venv and caches; data folders stay
#
# Tests of programs that are missing (a browser, PostgreSQL, …) skip: CONTRIBUTING.md, Tests, has how to install them.
# The environment is made in .venv, by the newest Python from 3.11 on (or PYTHON=…), and made up to date when needed.

.PHONY: run test test-slow test-servers lint bench test-crash fuzz wheels docs clean
.DEFAULT_GOAL := run

BIN := .venv/bin
TESTS ?=
export PYTHON
# Tests start thousands of processes: where none may keep what it compiled, each compiles all of the program again.
unexport PYTHONDONTWRITEBYTECODE

.venv/.ready-run: pyproject.toml constraints.txt tools/venv.sh
	@tools/venv.sh run

.venv/.ready-dev: pyproject.toml constraints.txt tools/venv.sh
	@tools/venv.sh dev

run: .venv/.ready-run
	@exec $(BIN)/python tools/foreground.py $(BIN)/moneyer up --data data --manual

test: .venv/.ready-dev
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not slow and not crash and not fuzz and not servers" $(TESTS)

test-slow: .venv/.ready-dev
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "slow and not crash and not fuzz and not servers" $(TESTS)

test-servers: .venv/.ready-dev
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder -m "servers and not crash and not fuzz" $(TESTS)

test-crash: .venv/.ready-dev
	$(BIN)/pytest -n 3 --dist load -m crash $(TESTS)

fuzz: .venv/.ready-dev
	$(BIN)/pytest -q -m fuzz tests/chain/test_against_model.py

lint: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy moneyer tests bench tools
	$(BIN)/lint-imports
	$(BIN)/pytest -q -m schema tests

bench: .venv/.ready-dev
	@for file in bench/bench_*.py; do \
		echo "== $$file"; \
		$(BIN)/python -m "bench.$$(basename "$$file" .py)" || exit 1; \
	done

wheels: .venv/.ready-dev
	$(BIN)/python tools/check_wheels.py

docs: .venv/.ready-dev
	$(BIN)/python -m tools.cli_docs

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
