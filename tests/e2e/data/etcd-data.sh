# shellcheck shell=bash
# What bites, for etcdctl with the administrator's environment: revisions, bytes that are no text, what looks like options,
# a lease, a deleted key, users and roles.
set -euo pipefail

put() { etcdctl put -- "$@" >/dev/null; }

put plain value
put plain 'changed, so that there are revisions'
put --help --prefix
put 'größe 世😀' 'ü'
put $'new\nline "quote" \\ $(id)' ''
printf 'a\0b\377' | etcdctl put bytes >/dev/null
head -c 200000 /dev/zero | tr '\0' x | etcdctl put large >/dev/null
put gone soon
etcdctl del gone >/dev/null
read -r _ lease _ < <(etcdctl lease grant 86400)
etcdctl put --lease="$lease" leased yes >/dev/null
{
  echo
  for number in {1..100}; do echo "put many/$number \"value $number\""; done
  echo
  echo
} | etcdctl txn >/dev/null
etcdctl role add reader >/dev/null
etcdctl role grant-permission reader --prefix=true read many/ >/dev/null
etcdctl user add reader --no-password >/dev/null
etcdctl user grant-role reader reader >/dev/null
