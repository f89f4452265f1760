# shellcheck shell=bash
reference=db-backup.test/azurite:3.37
packages=(mmdebstrap)
inputs=(lib/debian.sh lib/debian-trim npm/azurite/package.json npm/azurite/package-lock.json
  go/azprobe/go.mod go/azprobe/go.sum go/azprobe/main.go servers/azurite/serve servers/azurite/ready)

# One file of 8 MB instead of its 360 MB of packages, most of which are for databases and other services.
layer() {
  # Node's own packages bring npm along, Debian's do not.
  command -v npm >/dev/null || need_packages nodejs npm
  mkdir -p "$work/bundle" "$work/added/opt" "$work/added/usr/local/bin"
  cp "$here"/npm/azurite/package*.json "$work/bundle"
  (cd "$work/bundle" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run --silent build) >&2
  install -m 0644 "$work/bundle/azurite.js" "$work/added/opt"
  go_program azprobe . "$work/added/usr/local/bin/azprobe"
  debian_layer "$1" trixie nodejs azurite
  tar --append --file "$1" --owner=0 --group=0 --mtime=@0 -C "$work/added" ./opt/azurite.js ./usr/local/bin/azprobe
}
