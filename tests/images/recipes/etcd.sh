# shellcheck shell=bash
reference=db-backup.test/etcd:3.5
packages=(mmdebstrap)
inputs=(lib/debian.sh lib/debian-trim servers/etcd/serve servers/etcd/ready)

# bookworm's has no etcdutl.
layer() { debian_layer "$1" trixie etcd-server,etcd-client etcd; }
