# shellcheck shell=bash
reference=db-backup.test/ferretdb:1.24
inputs=(lib/scratch.sh go/ferretdb/go.mod go/ferretdb/go.sum go/mongoprobe/go.mod go/mongoprobe/go.sum go/mongoprobe/main.go)
programs=(mongoprobe)

layer() {
  scratch_root "$work/root"
  go_program mongoprobe . "$work/root/usr/bin/mongoprobe"
  host_program "$work/root/usr/bin/mongoprobe"
  ferretdb_sources
  go_program "$work/ferretdb" github.com/FerretDB/FerretDB/cmd/ferretdb "$work/root/usr/bin/ferretdb"
  deterministic_tar "$work/root" "$1"
}

# FerretDB embeds a file with its version which is not in its module, and refuses to start without: build a copy
# which has it, with the dependencies that go/ferretdb pins.
ferretdb_sources() {
  local module=github.com/FerretDB/FerretDB version directory
  cp -r "$here/go/ferretdb" "$work/ferretdb"
  go_download ferretdb "$module"
  read -r version directory < <(cd "$here/go/ferretdb" && go list -m -f '{{.Version}} {{.Dir}}' "$module")
  cp -r "$directory" "$work/FerretDB"
  chmod -R u+w "$work/FerretDB"
  printf '%s\n' "$version" >"$work/FerretDB/build/version/version.txt"
  (cd "$work/ferretdb" && go mod edit -replace "$module=$work/FerretDB")
}
