# shellcheck shell=bash
# What every part of the image builder shares: messages, the cache and the machine's tools.

cache=${DBBACKUP_CACHE:-$HOME/.cache/db-backup-operator}

say() { printf 'images: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# Hash of the files given, whatever their order on the command line. Paths are hashed too, relative to the
# folder of the images, so that the key is the same in every clone.
hash_files() {
  (cd "$here" && printf '%s\0' "$@" | LC_ALL=C sort -zu | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
}

# need_packages PACKAGE...: installs what is missing. dpkg-query instead of `command -v`, because a keyring has
# no command.
need_packages() {
  local missing=() package
  command -v dpkg-query >/dev/null ||
    die "this machine has no dpkg; the images are made of Debian packages, so run this on Debian or Ubuntu"
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || die "not root, and these packages are missing: run 'apt-get install ${missing[*]}' as root first"
  say "installing ${missing[*]}"
  apt_install "${missing[@]}" || {
    # Lists may be absent or older than the mirror: refresh them once.
    apt-get -qq update && apt_install "${missing[@]}"
  } || die "could not install ${missing[*]}: see apt's message above, then run 'apt-get install ${missing[*]}' by hand"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" >&2
}

# need_machine [PACKAGE...]: the tools of every recipe, and those of the recipes to be built.
need_machine() {
  need_packages jq tar zstd debian-archive-keyring "$@"
}
