# shellcheck shell=bash
reference=db-backup.test/mariadb:10.11
packages=(mmdebstrap)
inputs=(lib/debian.sh lib/debian-trim recipes/mariadb-trim recipes/stray-options servers/mariadb/serve servers/mariadb/ready)

# -core: the package mariadb-server adds only service files and clustering.
layer() { debian_layer "$1" bookworm mariadb-server-core,mariadb-client mariadb recipes/mariadb-trim recipes/stray-options; }
