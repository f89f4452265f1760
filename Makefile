# The habits of this project. `make` lists them.

MUSL    := $(shell uname -m)-unknown-linux-musl
TARGET  := $(abspath $(or $(CARGO_TARGET_DIR),target))
CARGO   := cargo
# One target, profile and set of features for all that is compiled for this machine, tests and shipped programs alike, so that
# each dependency is compiled once. Therefore always the whole workspace: a package alone has other features.
RUST    := --release --locked --target $(MUSL) --workspace
RELEASE := $(TARGET)/$(MUSL)/release
# The example makes cargo count the features that only tests ask for.
BINARIES := $(RUST) --bin operator --bin agent --example crds
# As the tests have our own crates.
TESTED  := $(RUST) --config tests/profile.toml
PLUGINS := -p postgres-plugin -p mysql-plugin -p mongodb-plugin -p generic-plugin
# Each has a file in deploy/crds.
KINDS   := databasebackups databasesnapshots databaserestores
SHELL   := bash

.DEFAULT_GOAL := help
.PHONY: help setup tools build cli plugins examples image images test lint unit proofs faults fire component authors e2e e2e-only demo \
  cluster-up cluster-down bench bench-scale crds check-generated clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  CLUSTER=existing   demo, test and e2e use what kubectl points at; its nodes must have the images under their names'
	@echo '                     db-backup.test/…; for demo also in a registry: REGISTRY=registry.example.com/tests'
	@echo '  CARGO_TARGET_DIR   where Rust compiles to; DBBACKUP_CACHE  tools and images (~/.cache/db-backup-operator)'

demo: ## the main job, to look at: a real backup of a real database, restored and compared
	@tests/demo/run

test: ## everything: lint, unit, contract and end-to-end tests on a real Kubernetes; what CI runs
	@tests/run

lint: tools ## formatting, clippy, licences, crate walls, scripts, generated files
	@tests/lint
	@tests/lint go

unit: plugins ## unit, property and contract tests; no cluster
	$(CARGO) test $(TESTED)

proofs: ## the long runs of what `make unit` runs for seconds; some ten minutes of both cores
	$(CARGO) test $(RUST) --lib --test it -- --ignored --nocapture --skip candidates

faults: ## the data path under fire: what breaks between agent and store, and SIGKILL at every request; a real S3 server, no cluster
	@tests/images/build s3 >/dev/null
	$(CARGO) test $(TESTED) --test agent -- --ignored --nocapture faults

fire: plugins ## the loop under fire: what breaks between operator and API server, and a crash at every write; a real kube-apiserver, no cluster
	@DBBACKUP_COMPONENTS=$$(tests/cluster/build) $(CARGO) test $(TESTED) --test fire -- --ignored --nocapture

e2e: tools images examples ## end-to-end tests on the cluster; TEST=name for one of them
	@[[ "$(CLUSTER)" == existing ]] || tests/cluster/up
	@tests/load
	@tests/operator/install
	@$(MAKE) --no-print-directory e2e-only

build: setup plugins ## operator, agent and plugins for this machine
	$(CARGO) build $(RUST) --bins --example crds

cli: ## the command line kubectl-dbbackup, in target/ARCH-unknown-linux-musl/release; put it on PATH
	$(CARGO) build $(RUST) --bin kubectl-dbbackup --example crds

plugins: ## the plugins as WebAssembly components, in target/wasm32-wasip2/plugin
	$(CARGO) build --locked --profile plugin --target wasm32-wasip2 $(PLUGINS)

examples: ## the third-party plugins in plugins/examples, built and tested outside of the repository, in target/examples
	@plugins/examples/build target/examples

image: plugins ## the operator's image, target/image/operator.tar (OPERATOR_IMAGE names it)
	$(CARGO) build $(BINARIES)
	@deploy/images/build $(or $(OPERATOR_IMAGE),db-backup.test/operator:dev) $(RELEASE) $(TARGET)/wasm32-wasip2/plugin \
	  target/image/operator.tar

images: image ## the operator's image and those of the tests' servers
	@tests/images/build >/dev/null

cluster-up: ## a real Kubernetes on this machine, or the one that runs already
	@tests/cluster/up

cluster-down: ## removes it without a trace
	@tests/cluster/down

authors: tools ## follows the author's page, plugins/README.md: a new plugin in each language
	$(CARGO) build $(TESTED) --bin kubectl-dbbackup --example crds
	@tests/authors/follow

bench: plugins ## figures, as ratios to a peer or a floor of the same run; PART=name for one of them
	@tests/setup bench
	@tests/images/build s3 >/dev/null
	$(CARGO) build $(BINARIES) --bin dbbackup-bench
	@. tests/lib/common.sh && $(RELEASE)/dbbackup-bench $(TARGET)/wasm32-wasip2/plugin $(RELEASE) "$$cache/bin/versitygw" $(PART)

bench-scale: plugins ## 1,000 and 10,000 objects on an API server of their own, beside CronJobs; some 25 minutes; PART=skew or many
	$(CARGO) build $(BINARIES) --bin dbbackup-bench
	@$(RELEASE)/dbbackup-bench scale "$$(tests/cluster/build)" deploy/crds $(RELEASE)/operator \
	  $(TARGET)/wasm32-wasip2/plugin $(PART)

crds: ## generates deploy/crds from operator/api
	@mkdir -p target
	$(CARGO) build --quiet $(RUST) --example crds
	for kind in $(KINDS); do \
	  $(RELEASE)/examples/crds $$kind > target/crds.yaml && mv target/crds.yaml deploy/crds/$$kind.yaml || exit; done

check-generated: ## fails if deploy/crds is not what operator/api says
	@tests/lint generated

setup: ## installs what is missing for building and for the demo
	@tests/setup

tools: setup ## installs what only the tests need: cargo-deny, cargo-component, Node.js
	@tests/setup tools

clean: ## removes what was built; the cluster and the cache of images stay
	$(CARGO) clean
	rm -rf target/image target/logs

# Not habits of their own: parts of `make test`.
component:
	@. tests/lib/common.sh && PLUGINS_BY_CARGO_COMPONENT=1 $(CARGO) test $(TESTED) --test it builtin

e2e-only:
	@$(CARGO) build $(TESTED) --bin kubectl-dbbackup --example crds
	@tests/e2e/run $(TEST)
