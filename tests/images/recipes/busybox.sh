# shellcheck shell=bash
reference=db-backup.test/busybox:1
inputs=(lib/scratch.sh)

layer() {
  scratch_root "$work/root"
  busybox "$work/root"
  deterministic_tar "$work/root" "$1"
}
