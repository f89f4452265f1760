# shellcheck shell=bash
reference=db-backup.test/postgres:15
packages=(mmdebstrap)
inputs=(lib/debian.sh lib/debian-trim recipes/postgres-links servers/postgres/serve servers/postgres/ready)
path=/usr/lib/postgresql/15/bin:$default_path

layer() { debian_layer "$1" bookworm postgresql-15 postgres recipes/postgres-links; }
