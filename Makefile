# The developer's commands. `make` lists them; each is one line around a script that can be run by
# hand (deploy/local/stack --help, tools/*). Variables for any of them:
#   TIDEGATE_PORT_BASE=9080   the stack's ports start there (8080)
#   TIDEGATE_RUN=/some/dir    its data and logs are there (./run)
.DEFAULT_GOAL := help
SHELL := /bin/bash
STACK := deploy/local/stack
PYTHON := /usr/bin/python3
export TIDEGATE_RUN ?= $(CURDIR)/run

.PHONY: help deps build up down restart reset clean status health logs smoke load demo db-stats \
        kafka-topics test test-unit test-asan test-tsan test-fuzz test-e2e lint bench bench-peers soak

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what building, running and testing need (Debian packages, Kafka)
	@deploy/local/install test
	@$(STACK) fetch
	@tests/fetch

build: ## build the release programs into build/release/bin
	@deploy/local/install run
	@tools/build release

up: build ## install, build and start everything; prints the address and the demo key
	@$(STACK) up

down: ## stop everything that up started
	@$(STACK) down

restart: build ## stop and start everything, keep the data
	@$(STACK) restart

reset: build ## stop, forget all data, start
	@$(STACK) reset

clean: ## stop, remove all data and everything built
	@$(STACK) clean
	@for run in build/test-run build/test-run-faults build/test-run-faults-ledger build/test-run-ledger build/soak-run; do \
	  if [ -d $$run ]; then TIDEGATE_RUN=$$run $(STACK) clean || exit 1; fi; done
	@rm -rf build

status: ## what runs, where, with how much memory
	@$(STACK) status

health: ## whether each part is ready
	@$(STACK) health

logs: ## follow all logs
	@$(STACK) logs

logs-%: ## follow one log, e.g. logs-worker
	@$(STACK) logs $*

smoke: ## check the whole way with known numbers
	@$(PYTHON) tests/smoke.py

load: ## send exactly 1,000 events and check rows and sums
	@$(PYTHON) loadtest/load.py

demo: up ## send the demo tenant's events at full rates, until Ctrl-C
	@$(STACK) demo

db-stats: ## sizes, row counts, consumer positions
	@$(STACK) db-stats

kafka-topics: ## topics, partitions, offsets, lag
	@$(STACK) kafka-topics

test: ## everything, from nothing
	@tools/test deps 'format&' unit 'e2e&' 'faults&' 'db&' asan tsan fuzz

test-unit: ## unit tests
	@tools/test unit

test-asan: ## unit tests under AddressSanitizer and UBSan
	@tools/test asan

test-tsan: ## unit tests under ThreadSanitizer
	@tools/test tsan

test-fuzz: ## each fuzz target for a few seconds (FUZZ_SECONDS=60 for longer)
	@tools/test fuzz

test-e2e: ## end-to-end, fault and database tests, on stacks of their own
	@tools/test 'e2e&' 'faults&' db

soak: ## the ledger test over 50 seeds of faults (SOAK_FROM=1 SOAK_SEEDS=50), 12,000 schema pairs against Java
	@deploy/local/install test
	@$(STACK) fetch
	@tests/fetch
	@tools/build faults
	@nice tests/oracle/soak.py
	@TIDEGATE_RUN=$(CURDIR)/build/soak-run nice tools/soak

lint: ## formatting, clang-tidy, shellcheck
	@tools/lint

bench: build ## measure the bars
	@$(PYTHON) loadtest/bench.py

bench-peers: build ## measure beside what people run today (FastAPI, nginx, asyncpg)
	@$(PYTHON) loadtest/bench.py --only peers --json build/bench-peers.json
