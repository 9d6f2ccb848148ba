# Two commands matter: `make run` and `make test`. Everything else is listed by `make help`.
# Kept to what GNU make 3.81 (macOS) understands.

PY := .venv/bin/python
ROUNDS ?= 30
# Files of tests that run side by side (most wait rather than work); 0 runs everything in one process.
WORKERS ?= 3
.DEFAULT_GOAL := help
.PHONY: help run setup test check format docs screenshots bench soak coverage lock clean

help: ## list these commands
	@echo "Easel, a Discord bot that paints on demand."; echo
	@grep -E '^[a-z]+:.*## ' Makefile | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-11s %s\n", $$1, $$2}'
	@echo; echo "  PYTHON=python3.12 chooses the Python that .venv is made with."

run: ## start the bot, or the sandbox when there is no token and no key
	@sh requirements/install.sh runtime
	@exec $(PY) -m bot

setup: ## make .venv with everything for running, testing and checking; start nothing
	@sh requirements/install.sh dev

# Tests marked `timing` run alone afterwards; 5 is pytest's word for "no test was selected".
test: setup ## run all tests, in a real browser too (ARGS="-k words" for some)
	@$(PY) -m tools.browser
	@result=0; \
	$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not timing" $(ARGS) || result=$$?; \
	$(PY) -m pytest -m timing $(ARGS) $$(grep -rl --include='test_*.py' 'mark\.timing' tests) || { \
		alone=$$?; [ $$alone -eq 5 ] || result=$$alone; }; \
	exit $$result

check: setup ## lint, format, strict types, import walls
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo

format: setup ## put the code into the house format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

docs: setup ## write config.example.toml, README.md's tables and docs/sentences.md anew from the code
	$(PY) -m tools.docs

screenshots: setup ## take docs/*.png anew, in a real browser over the sandbox
	@$(PY) -m tools.browser
	@$(PY) -m tools.screenshots

bench: setup ## measure against a naive bot in the same run (ARGS="--help" for more)
	@$(PY) -m tests.bench $(ARGS)

soak: setup ## kill the bot 20,000 times, then the bench's crowds: hours (ARGS="--minutes 10" ROUNDS=1 for less)
	@$(PY) -m tests.resilience soak $(ARGS)
	@echo "Runs the bench's crowds of 50, 200 and 1,000 people $(ROUNDS) times over, without the naive bot. Ctrl-C stops it."
	@round=1; while [ $$round -le $(ROUNDS) ]; do \
		echo; echo "round $$round of $(ROUNDS)"; \
		$(PY) -m tests.bench fifty two-hundred thousand --no-naive || exit 1; \
		round=$$((round + 1)); \
	done

coverage: setup ## all tests with branch coverage
	@$(PY) -m pytest --cov --cov-report=term $(ARGS)

lock: setup ## write requirements/*.txt anew from *.in, for all Pythons and systems (ARGS=--upgrade takes the newest)
	@$(PY) -m requirements.lock $(ARGS)

clean: ## remove caches and .venv; never data/ or your configuration
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov
