# shellcheck shell=bash
reference=db-backup.test/mongo:8
inputs=(lib/scratch.sh go/mongo-tools/go.mod go/mongo-tools/go.sum)

layer() {
  local tool
  scratch_root "$work/root"
  for tool in bsondump mongodump mongorestore; do
    go_program mongo-tools "github.com/mongodb/mongo-tools/$tool/main" "$work/root/usr/bin/$tool"
  done
  deterministic_tar "$work/root" "$1"
}
