# shellcheck shell=bash
reference=db-backup.test/redis:8
packages=(mmdebstrap)
inputs=(lib/debian.sh lib/debian-trim servers/redis/serve servers/redis/ready)

# bookworm stops at 7.
layer() { debian_layer "$1" trixie redis-server redis; }
