# shellcheck shell=bash
reference=db-backup.test/postgres:18
packages=(mmdebstrap)
inputs=(lib/debian.sh lib/debian-trim recipes/postgres-links servers/postgres/serve servers/postgres/ready)
path=/usr/lib/postgresql/18/bin:$default_path

# trixie stops at 17.
layer() { debian_layer "$1" sid postgresql-18 postgres recipes/postgres-links; }
