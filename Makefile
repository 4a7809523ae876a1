# make run: everything on this machine, with nothing but Python 3.11 or later. make help: the rest.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
# What `make chaos` does: docs/testing.md.
SECONDS := 600
SEEDS := 1 2 3
DATABASES := sqlite postgresql
# What `make bench` is told beyond its defaults: BENCH="--peer http://127.0.0.1:9001 --only lists" (docs/performance.md).
BENCH :=
.PHONY: help run test audit chaos bench lint format messages lock clean

# Shell functions for the recipes; each recipe that needs them begins with $(functions).
define functions
set -eu; \
fail() { echo "error: $$1" >&2; exit 1; }; \
find_python() { \
	for candidate in $${PYTHON:-python3.13 python3.12 python3.11 python3}; do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "$$candidate"; return 0; \
		fi; \
	done; \
	if [ -n "$${PYTHON:-}" ]; then fail "PYTHON=$$PYTHON is not a Python of version 3.11 or later."; fi; \
	fail "Python 3.11 or later was not found. Install it, or name it: make run PYTHON=/path/to/python3.12"; \
}; \
make_environment() { \
	if $(BIN)/python -m pip --version >/dev/null 2>&1; then return 0; fi; \
	python=$$(find_python); \
	if ! "$$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then \
		version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		fail "Python $$version has no venv module. Debian, Ubuntu: sudo apt install python$$version-venv"; \
	fi; \
	echo "Creating $(VENV)"; \
	"$$python" -m venv --clear $(VENV); \
}; \
install() { \
	if cmp -s "$$1" "$(VENV)/$$1.installed"; then return 0; fi; \
	echo "Installing $$1 (once, until it changes; about a minute)"; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --requirement "$$1" \
		|| fail "the packages of $$1 could not be installed; the lines above say why."; \
	cp "$$1" "$(VENV)/$$1.installed"; \
}; \
install_for_development() { \
	make_environment; \
	install requirements-dev.lock; \
	cp requirements.lock $(VENV)/requirements.lock.installed; \
}; \
load_env_file() { \
	if [ ! -f .env ]; then return 0; fi; \
	already_set=$$(export -p); set -a; . ./.env; set +a; eval "$$already_set"; \
};
endef

# A variable given to make (make run PYTHON=...) reaches the shell functions above.
export PYTHON

help: ## Show this list
	@sed -n 's/^\([a-z]*\): ## \(.*\)/  make \1	\2/p' Makefile

run: ## Run everything in the foreground; Ctrl-C stops it. Reads .env, if there is one
	@$(functions) make_environment; install requirements.lock; load_env_file; exec $(BIN)/python manage.py up

test: ## Run the whole test suite
	@$(functions) install_for_development; exec $(BIN)/python -m tests.run

chaos: ## Hurt the whole system for a long time; SECONDS=600 SEEDS="1 2 3" DATABASES="sqlite postgresql"
	@$(functions) install_for_development; failed=0; \
	for database in $(DATABASES); do for seed in $(SEEDS); do \
		$(BIN)/python -m tests.chaos --seconds "$(SECONDS)" --seed "$$seed" --database "$$database" || failed=1; \
	done; done; exit $$failed

bench: ## Measure what is promised, on SQLite and PostgreSQL; about twenty minutes on a quiet machine. BENCH="--quick"
	@$(functions) install_for_development; exec $(BIN)/python -m benchmarks $(BENCH)

lint: ## Check style, types, imports, migrations and the API schema
	@$(functions) install_for_development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

audit: ## Look for known vulnerabilities in the locked packages
	@$(functions) install_for_development; exec $(BIN)/python -m tests.audit

format: ## Format the code and apply the safe fixes
	@$(functions) install_for_development
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

messages: ## Collect the texts into locale and compile the translations; needs GNU gettext
	@$(functions) make_environment; install requirements.lock; exec $(BIN)/python manage.py messages

lock: ## Resolve pyproject.toml's dependencies again into both lock files
	@$(functions) install_for_development
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -o requirements.lock --quiet
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -c requirements.lock -o requirements-dev.lock --quiet

clean: ## Remove caches; .venv and var (your data) stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./$(VENV) -prune -o -path ./var -prune -o -type d -name __pycache__ -exec rm -rf {} +
