# shellcheck shell=bash
# Layers made of Debian packages.

# The mirror this machine is set up to use, so that nothing here names a host that only some machines reach.
debian_mirror() {
  local mirror=
  if command -v apt-get >/dev/null; then
    # shellcheck disable=SC2016  # the variables are apt's
    mirror=$(apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
      sed -n 's/^Debian|main|//p' | head -n1)
  fi
  printf '%s' "${mirror:-http://deb.debian.org/debian}"
}

# debian_layer OUT_TAR SUITE PACKAGES SERVER HOOK...: PACKAGES comma-separated; SERVER the folder in servers/ with the
# scripts that serve and probe; each HOOK an executable which gets the root directory once all is installed.
debian_layer() {
  local out=$1 suite=$2 packages=$3 hook hooks
  hooks=(--customize-hook="install -m 0755 '$here/servers/$4/serve' '$here/servers/$4/ready' \"\$1/usr/local/bin\"")
  shift 4
  for hook in "$@" lib/debian-trim; do
    hooks+=(--customize-hook="'$here/$hook' \"\$1\"")
  done
  ((EUID == 0)) || die "not root: mmdebstrap installs packages in a chroot, so run this as root"
  # - Check-Valid-Until: a mirror frozen at some day serves an expired sid, and its content is still signed.
  # - output/dev, output/mknod: a container gets its own /dev, and an unprivileged import could not make the nodes.
  # - force-unsafe-io: dpkg would otherwise wait for the disk after every file of a directory that is thrown away.
  # - path-exclude: documentation is half of a small image.
  mmdebstrap --variant=minbase --format=tar --verbose \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"' \
    --skip=output/dev,output/mknod --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/i18n/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
    --include="$packages" "${hooks[@]}" "$suite" "$out" "$(debian_mirror)" >"$work/mmdebstrap.log" 2>&1 || {
    # The reason stands before mmdebstrap's own last words.
    grep -E '^(E|Err|dpkg: error)' "$work/mmdebstrap.log" | cut -c1-200 | tail -n 15 >&2
    die "mmdebstrap could not make a $suite root file system of $packages: see apt's message above"
  }
}
