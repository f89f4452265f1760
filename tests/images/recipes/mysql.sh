# shellcheck shell=bash
reference=db-backup.test/mysql:9
packages=(mmdebstrap)
inputs=(lib/debian.sh lib/debian-trim recipes/mysql-trim recipes/stray-options servers/mysql/serve servers/mysql/ready)

# Debian's stable releases have no MySQL. -core: the package mysql-server adds only service files.
layer() { debian_layer "$1" sid mysql-server-core,mysql-client mysql recipes/mysql-trim recipes/stray-options; }
