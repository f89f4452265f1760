# shellcheck shell=bash
reference=db-backup.test/gcs:1
inputs=(lib/scratch.sh go/versitygw/go.mod go/versitygw/go.sum go/s3probe/go.mod go/s3probe/go.sum go/s3probe/main.go
  go/gcsfront/go.mod go/gcsfront/go.sum go/gcsfront/main.go servers/gcs/serve servers/gcs/ready)

# No emulator has the multipart uploads of Google's XML API. An S3 server has them, behind a front that speaks Google's dialect.
layer() {
  scratch_root "$work/root"
  busybox "$work/root"
  install -m 0755 "$here/servers/gcs/serve" "$here/servers/gcs/ready" "$work/root/usr/bin"
  go_program s3probe . "$work/root/usr/bin/s3probe"
  go_program gcsfront . "$work/root/usr/bin/gcsfront"
  go_program versitygw github.com/versity/versitygw/cmd/versitygw "$work/root/usr/bin/versitygw"
  deterministic_tar "$work/root" "$1"
}
