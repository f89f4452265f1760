# Shared by the entry scripts: finds or builds the binaries. Sourced with `here` set to this directory.
# shellcheck shell=sh

cache=${DBBACKUP_CACHE:-$HOME/.cache/db-backup-operator}/cluster
# The version that the API server and kubectl report; they misbehave without one. Follows go.mod.
kubernetes=$(sed -n 's/^.*k8s\.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$here/go.mod" | head -n 1)

fail() {
    echo "tests/cluster: $*" >&2
    exit 1
}

# Debian packages, each with a file that shows it is there.
packages='
containerd=/usr/bin/containerd
runc=/usr/sbin/runc
containernetworking-plugins=/usr/lib/cni/bridge
iproute2=/sbin/ip
nftables=/usr/sbin/nft
conntrack=/usr/sbin/conntrack
iptables=/usr/sbin/iptables
e2fsprogs=/sbin/mkfs.ext4
mount=/bin/mount
jq=/usr/bin/jq
'

install_packages() {
    missing=
    for entry in $packages; do
        [ -e "${entry#*=}" ] || missing="$missing ${entry%%=*}"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "these Debian packages are missing and there is no apt-get:$missing"
    echo "installing$missing" >&2
    # The package lists may be absent or old: fetch them only if the first try fails.
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 && return 0
    apt-get update -qq || fail "apt-get update failed: check the network and /etc/apt/sources.list"
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        fail "could not install:$missing"
}

# build NAME MODULE PACKAGE: sets $built to a binary that was made from exactly these sources.
build() {
    name=$1 module=$2 package=$3
    key=$(cd "$here/$module" && { cat go.mod go.sum "$here/lib.sh" && find "$package" -type f | LC_ALL=C sort | xargs cat; } |
        sha256sum | cut -c1-16)
    built=$cache/$name-$key
    [ ! -x "$built" ] || return 0
    command -v go >/dev/null || fail "Go 1.25 or newer is needed to build the cluster: install it from https://go.dev/dl and put its bin directory on PATH"
    mkdir -p "$cache"
    # One build at a time: two would fight for the same processors and the same result.
    exec 9>"$cache/.lock"
    flock 9
    if [ ! -x "$built" ]; then
        echo "building $name (minutes when Go's own cache is cold)" >&2
        began=$(date +%s)
        version=k8s.io/component-base/version
        minor=${kubernetes#v1.}
        (cd "$here/$module" && CGO_ENABLED=0 GOTOOLCHAIN=local go build -trimpath -buildvcs=false \
            -ldflags "-s -w -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*} -X $version.gitTreeState=clean" \
            -o "$built.new" "$package") 9>&- || fail "building $name failed: see the compiler's message above (Go 1.25 or newer is needed, this is $(go version))"
        mv "$built.new" "$built"
        # Binaries are large and each edit makes new ones; a week is longer than a cluster in use keeps old ones.
        find "$cache" -name "$name-*" -mtime +7 -delete
        echo "built $name in $(($(date +%s) - began)) s" >&2
    fi
    exec 9>&-
}

build_supervisor() {
    build cluster . ./supervisor
    cluster=$built
}
