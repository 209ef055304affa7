# The two commands are `make demo` and `make test`; `make help` lists all.

CARGO ?= cargo
# What `crossweave demo` is told: make demo ARGS="--once --log kafka"; and the benchmark: make bench-live ARGS="0.1 --write"
ARGS ?=
# Which tests: make integration TEST=demo_parts
TEST ?=
# MariaDB versions beside the installed one that types are tested on: make test VERSIONS="11.4 11.8"; none: VERSIONS=
VERSIONS ?= 11.4
# One version for all servers, in place of the installed one: make integration MARIADB=11.8
MARIADB ?=
# How many queries are made for `make parity`, and from which seed on: another one each day. Optimised, it asks several
# times as many in a second
PARITY_QUERIES ?= 20000
PARITY_SEED ?= $(shell date +%Y%m%d)00000

.DEFAULT_GOAL := help
export CROSSWEAVE_TEST_VERSIONS = $(VERSIONS)
ifneq ($(MARIADB),)
export CROSSWEAVE_MARIADB = $(MARIADB)
endif
versioned = $(addprefix mariadb-,$(VERSIONS) $(MARIADB))

.PHONY: help demo test parity versions bench-live parts format lint doc unit integration

help: ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: ## three MariaDB servers, Crossweave beside them, questions, a writer; ARGS=--once, ARGS="--log kafka"
	@tools/parts.sh build
	@tools/parts.sh mariadb $(addprefix mariadb-,$(MARIADB)) $(if $(findstring kafka,$(ARGS)),kafka) & parts=$$!; \
		$(CARGO) build --locked; built=$$?; wait $$parts && exit $$built
	@$(CARGO) run --locked --quiet -- demo $(ARGS)

test: parts ## everything: format, lints, documentation, all tests on real MariaDB servers and a real Kafka
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	$(CARGO) test --locked --workspace

parity: ## generated queries, on every route and in one MariaDB; PARITY_SEED=n, PARITY_QUERIES=n, PARITY_WAYS=all
	@tools/parts.sh build mariadb $(addprefix mariadb-,$(MARIADB))
	PARITY_SEED=$(PARITY_SEED) PARITY_QUERIES=$(PARITY_QUERIES) $(CARGO) test --locked --profile bench --test integration \
		-- generated_queries --nocapture

# The binaries of 11.4 come without plugins.
versions: export CROSSWEAVE_TEST_VERSIONS =
versions: ## all tests of the connector, and a service's, on MariaDB 11.4 and on 11.8
	@tools/parts.sh build mariadb-11.4 mariadb-11.8
	CROSSWEAVE_MARIADB=11.4 $(CARGO) test --locked --package crossweave-mariadb -- \
		--skip everything_from_a_compressed_and_encrypted_binlog --skip accounts_log_in_with_ed25519
	CROSSWEAVE_MARIADB=11.8 $(CARGO) test --locked --package crossweave-mariadb
	CROSSWEAVE_MARIADB=11.4 $(CARGO) test --locked --test integration -- versions::
	CROSSWEAVE_MARIADB=11.8 $(CARGO) test --locked --test integration -- versions::

bench-live: ## TPC-H over three MariaDB servers, read live, beside one MariaDB, FEDERATED, ConnectorX; ARGS="1 --write", ARGS=--help
	@tools/parts.sh build mariadb
	-@tools/parts.sh bench
	$(CARGO) bench --locked --bench live -- $(ARGS)

parts: ## gets what building and testing need: compilers, MariaDB, Kafka, PostgreSQL clients
	@tools/parts.sh build lints mariadb $(versioned) kafka clients

format: ## formats the code
	$(CARGO) fmt --all

lint: ## the lints alone
	$(CARGO) clippy --workspace --all-targets -- --deny warnings

doc: ## the documentation, under target/doc
	$(CARGO) doc --workspace --no-deps --document-private-items

unit: ## the tests that need no server
	$(CARGO) test --workspace --lib --bins

integration: ## the integration tests alone; TEST=name for some of them
	@tools/parts.sh build mariadb $(addprefix mariadb-,$(MARIADB)) kafka clients
	$(CARGO) test --test integration -- $(TEST)
