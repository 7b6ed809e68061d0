# Each target installs what it needs first and is quick the second time: stamps lie beside what they stand for.
# ARGS hands options on: make run ARGS="--port 0 --workers 2"; make test ARGS="tests/unit -x".

export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON := .venv/bin/python
NPM_CI := npm ci --no-audit --no-fund --loglevel=error
ARGS ?=

MACHINE := .cache/machine
VENV := .venv/.installed
AZURITE := local/azurite/node_modules/.installed
UI_MODULES := static-ui/node_modules/.installed
KUSTO := tools/monitoring_check/node_modules/.installed
SIGNALR_CLIENT := tests/contract/signalr/node_modules/.installed
PAGE := static-ui/dist/index.html
PAGE_SOURCES := $(shell find static-ui -type f \
	-not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/tests/*' -not -path '*/.*')
RUNNABLE := $(VENV) $(AZURITE) $(PAGE)

# $(call step,what it does,command): says what is going on and how long it took.
define step
@echo "==> $(1)"; begin=$$(date +%s); $(2) && echo "    took $$(( $$(date +%s) - begin )) s"
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run demo test test-unit test-long chaos lint infra-check screenshots bench bench-priorities workbook lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(RUNNABLE) ## Install everything that the stack needs and build the page

run: $(RUNNABLE) ## Start the whole stack in the foreground at http://127.0.0.1:7071
	@$(PYTHON) -m local up $(ARGS)

demo: $(RUNNABLE) ## Run one job of every type on a stack of its own, show their progress and results
	@$(PYTHON) -m local.demo $(ARGS)

test: $(RUNNABLE) $(SIGNALR_CLIENT) $(KUSTO) ## Run every test, the page in headless Chromium included
	$(call step,Testing the page's own code,npm test --prefix static-ui --silent)
	$(call step,Weighing the page,npm run size --prefix static-ui --silent)
	@chromium=$$(tools/find_chromium.sh) && CHROMIUM="$$chromium" $(PYTHON) -m pytest -n 3 --dist loadgroup $(ARGS)

test-unit: $(VENV) ## Run the tests that need no service
	@$(PYTHON) -m pytest tests/unit $(ARGS)

test-long: $(RUNNABLE) ## Run the tests at full size that `make test` leaves out
	@$(PYTHON) -m pytest -m long $(ARGS)

chaos: $(VENV) $(AZURITE) ## Run 5,000 jobs under mixed faults, at most 8 minutes; SEED=N repeats a run
	@$(PYTHON) -m tests.chaos.soak $(if $(SEED),--seed $(SEED)) $(ARGS)

lint: $(VENV) $(UI_MODULES) ## Check style and types, Python and TypeScript
	$(call step,ruff check,$(PYTHON) -m ruff check .)
	$(call step,ruff format,$(PYTHON) -m ruff format --check .)
	$(call step,mypy,$(PYTHON) -m mypy)
	$(call step,infra-check,$(PYTHON) -m tools.infra_check)
	$(call step,tsc,npm run check --prefix static-ui --silent)

infra-check: $(VENV) ## Check the Azure templates against Azure's types, our rules and the code
	@$(PYTHON) -m tools.infra_check

workbook: $(VENV) ## Write the Azure workbook anew after an edit of a query in infra/monitoring
	@$(PYTHON) -m tools.monitoring_check

screenshots: $(RUNNABLE) ## Take pictures of every view of the page into docs/images, about 4 minutes
	@chromium=$$(tools/find_chromium.sh) && CHROMIUM="$$chromium" $(PYTHON) -m tests.e2e.page.screenshots

bench: $(RUNNABLE) ## Measure throughput and latency on a stack of its own
	@$(PYTHON) -m bench $(ARGS)

bench-priorities: $(RUNNABLE) ## Measure how long urgent and other jobs wait under load, with the gate and without
	@$(PYTHON) -m bench.priorities $(ARGS)

lock: $(VENV) ## Renew the lock files after an edit of a requirements*.in or package.json
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --no-header requirements.in -o requirements.txt
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --no-header requirements-dev.in -o requirements-dev.txt
	for folder in local/azurite static-ui tests/contract/signalr tools/monitoring_check; do \
		npm install --package-lock-only --no-audit --no-fund --loglevel=error --prefix $$folder || exit 1; done

clean: ## Remove what was installed and built; the stack's data in .local stays
	rm -rf .venv .venv-* .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis test-results static-ui/dist static-ui/.test
	rm -rf local/azurite/node_modules static-ui/node_modules tests/contract/signalr/node_modules tools/monitoring_check/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The Python to use, found by a check of the whole machine that comes before any installation.
$(MACHINE): tools/check_machine.sh
	@mkdir -p .cache && tools/check_machine.sh > $@

$(VENV): requirements-dev.txt requirements.txt pyproject.toml | $(MACHINE)
	$(call step,Installing Python packages into .venv,$$(cat $(MACHINE)) -m venv .venv && \
		$(PYTHON) -m pip install --quiet --requirement requirements-dev.txt && \
		$(PYTHON) -m pip install --quiet --no-deps --editable .)
	@touch $@

$(AZURITE): local/azurite/package-lock.json | $(MACHINE)
	$(call step,Installing Azurite,$(NPM_CI) --prefix local/azurite)
	@touch $@

$(UI_MODULES): static-ui/package-lock.json | $(MACHINE)
	$(call step,Installing the page's packages,$(NPM_CI) --prefix static-ui)
	@touch $@

$(KUSTO): tools/monitoring_check/package-lock.json | $(MACHINE)
	$(call step,Installing the Kusto parser,$(NPM_CI) --prefix tools/monitoring_check)
	@touch $@

$(SIGNALR_CLIENT): tests/contract/signalr/package-lock.json | $(MACHINE)
	$(call step,Installing the SignalR client for the tests,$(NPM_CI) --prefix tests/contract/signalr)
	@touch $@

$(PAGE): $(UI_MODULES) $(PAGE_SOURCES)
	$(call step,Building the page,npm run build --prefix static-ui --silent)
	@touch $@
