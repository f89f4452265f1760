# shellcheck shell=bash
reference=db-backup.test/s3:1
inputs=(lib/scratch.sh go/versitygw/go.mod go/versitygw/go.sum go/s3probe/go.mod go/s3probe/go.sum go/s3probe/main.go
  go/sts/go.mod go/sts/main.go servers/s3/serve servers/s3/ready)
programs=(s3probe versitygw)

# busybox: the server's start depends on whether a certificate was given, which needs a shell.
layer() {
  scratch_root "$work/root"
  busybox "$work/root"
  install -m 0755 "$here/servers/s3/serve" "$here/servers/s3/ready" "$work/root/usr/bin"
  go_program s3probe . "$work/root/usr/bin/s3probe"
  host_program "$work/root/usr/bin/s3probe"
  go_program sts . "$work/root/usr/bin/sts"
  go_program versitygw github.com/versity/versitygw/cmd/versitygw "$work/root/usr/bin/versitygw"
  host_program "$work/root/usr/bin/versitygw"
  deterministic_tar "$work/root" "$1"
}
