# shellcheck shell=bash
reference=db-backup.test/ferretdb:1.24
inputs=(lib/scratch.sh go/ferretdb/go.mod go/ferretdb/go.sum go/mongoprobe/go.mod go/mongoprobe/go.sum go/mongoprobe/main.go)
programs=(mongoprobe)

layer() {
  scratch_root "$work/root"
  go_program mongoprobe . "$work/root/usr/bin/mongoprobe"
  host_program "$work/root/usr/bin/mongoprobe"
  go_program ferretdb github.com/FerretDB/FerretDB/cmd/ferretdb "$work/root/usr/bin/ferretdb"
  deterministic_tar "$work/root" "$1"
}
