# shellcheck shell=bash
# Images FROM scratch: static binaries and the few files that programs expect around them.

# scratch_root DIRECTORY: what a process of any uid needs.
scratch_root() {
  mkdir -p "$1/etc" "$1/usr/bin"
  mkdir -m 1777 "$1/tmp"
  printf '%s\n' 'root:x:0:0:root:/root:/bin/false' 'dbbackup:x:65532:65532::/tmp:/bin/sh' >"$1/etc/passwd"
  printf '%s\n' 'root:x:0:' 'dbbackup:x:65532:' >"$1/etc/group"
}

need_go() { command -v go >/dev/null || die "no Go toolchain: install Go 1.26 or later and put it on PATH"; }

# go_download MODULE PATH: the sources of a dependency of go/MODULE, into Go's own cache.
go_download() {
  need_go
  (cd "$here/go/$1" && GOFLAGS=-mod=readonly go mod download "$2") >&2
}

# go_program MODULE PACKAGE OUT: a static binary of a package that the module pins by go.sum. MODULE is a folder of
# go/, or an absolute path.
go_program() {
  local module=$1
  need_go
  [[ $module == /* ]] || module=$here/go/$module
  (cd "$module" && CGO_ENABLED=0 GOFLAGS=-mod=readonly \
    go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$3" "$2") >&2
}

# host_program FILE: the same binary for tests that reach a server through kubectl port-forward. Moved into place,
# because a test may be running the old one.
host_program() {
  mkdir -p "$cache/bin"
  install -m 0755 "$1" "$cache/bin/.${1##*/}.$BASHPID"
  mv "$cache/bin/.${1##*/}.$BASHPID" "$cache/bin/${1##*/}"
}

# busybox DIRECTORY: a static shell with its applets as links in /bin.
busybox() {
  local download applet
  download=$(mktemp -d "$work/busybox.XXXXXX")
  # Downloaded rather than installed: the package conflicts with another busybox that the machine may have.
  (cd "$download" && apt-get -qq -o APT::Sandbox::User=root download busybox-static >&2) ||
    { apt-get -qq update >&2 && (cd "$download" && apt-get -qq -o APT::Sandbox::User=root download busybox-static >&2); } ||
    die "could not download the Debian package busybox-static: see apt's message above"
  dpkg-deb --fsys-tarfile "$download"/busybox-static_*.deb >"$download/fs.tar"
  mkdir -p "$1/bin" "$download/fs"
  tar -xf "$download/fs.tar" -C "$download/fs"
  install -m 0755 "$(find "$download/fs" -type f -path '*/bin/busybox')" "$1/bin/busybox"
  for applet in $("$1/bin/busybox" --list); do
    [[ $applet == busybox ]] || ln -s busybox "$1/bin/$applet"
  done
  ln -s ../../bin/env "$1/usr/bin/env"
}
