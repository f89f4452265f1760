# shellcheck shell=bash
# shellcheck disable=SC2034 # used by those who source it
# What the scripts of tests/ share: places, settings and messages. To be sourced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${DBBACKUP_CACHE:-$HOME/.cache/db-backup-operator}
target=${CARGO_TARGET_DIR:-$root/target}
musl=$(uname -m)-unknown-linux-musl
release=$target/$musl/release
# For cargo, as RUST and TESTED of the Makefile, so that all but our own crates are compiled once.
shipped=(--release --locked --target "$musl" --workspace)
tested=("${shipped[@]}" --config tests/profile.toml)
logs=$root/target/logs
operator_archive=$root/target/image/operator.tar
tools=$cache/tools/bin

# CLUSTER: `own` starts a Kubernetes on this machine; `existing` uses what kubectl points at, whose nodes must have the
# images. The demo also takes them from a registry, REGISTRY, where each has the same name and tag.
export CLUSTER=${CLUSTER:-own}
export REGISTRY=${REGISTRY:-db-backup.test}
export OPERATOR_IMAGE=${OPERATOR_IMAGE:-$REGISTRY/operator:dev}
PATH=$tools:$PATH

say() { printf '%s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The end-to-end tests name their images themselves.
own_names() {
  [[ $REGISTRY == db-backup.test ]] ||
    die "the end-to-end tests take no REGISTRY: load the images into the cluster's nodes as db-backup.test/…; tests/load lists them"
}

case $CLUSTER in
own)
  export KUBECONFIG=${DBBACKUP_CLUSTER:-/var/lib/dbbackup-cluster}/kubeconfig
  PATH=${DBBACKUP_CLUSTER:-/var/lib/dbbackup-cluster}/bin:$PATH
  ;;
existing) ;;
*) die "CLUSTER is '$CLUSTER'; it must be 'own' (the default) or 'existing'" ;;
esac
