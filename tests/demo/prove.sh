# shellcheck shell=bash
# Steps 4 and 5: what a user sees, and that it is worth something.

step_look() {
  title 4 'What a user sees'
  shown kubectl --namespace demo get databasebackups
  # One is enough: the schedule rests from here.
  quietly kubectl --namespace demo patch databasebackup orders --type merge --patch '{"spec": {"suspend": true}}'
  shown kubectl --namespace demo describe databasebackup orders | sed -n '1p; /Last Backup Status:/,/Last Successful Backup:/p'
  say '  In the bucket (the manifest comes last: no manifest, no backup):'
  s3 "ls -l backups $(run_folder)" | awk -F '\t' '{printf "    %12d  %s\n", $1, $2}'
}

step_prove() {
  title 5 'Proof: restored by hand, as the manifest says'
  local folder key item variable command bin=$scratch/bin
  folder=$scratch/run
  mkdir -p "$folder" "$bin"
  s3 "get backups '$(run_folder)manifest.json'" >"$folder/manifest.json"
  [[ $(sha256sum <"$folder/manifest.json") == "$(jq -r .manifestSha256 <<<"$run")  -" ]] ||
    die 'the manifest in the bucket is not the one that status speaks of'
  jq -r '.restoreByHand[]' "$folder/manifest.json" | fold -s -w 110 | indent

  while read -r key; do
    mkdir -p "$folder/$(dirname "$key")"
    s3 "get backups '$(run_folder)$key'" >"$folder/$key"
  done < <(jq -r '.parts[].object' "$folder/manifest.json")

  empty_server
  # The client programs are those of the server's pod, so that this machine needs none.
  for command in psql pg_restore; do
    printf '#!/bin/sh\nexec kubectl --namespace demo-restore exec --stdin deployment/orders-db --container server -- env PGHOST=/tmp PGUSER=postgres %s "$@"\n' \
      "$command" >"$bin/$command"
    chmod +x "$bin/$command"
  done

  while read -r part; do
    item=$(jq -r '.item // empty' <<<"$part")
    variable=$item
    if [[ -n $item && $item != postgres ]]; then
      sql demo-restore postgres "create database \"$item\" template template0"
    fi
    while read -r command; do
      say "  \$ $command"
      (cd "$folder" && PATH=$bin:$PATH TARGET_DATABASE=$variable bash -c "$command" 2>&1 | grep -v 'role "postgres" already exists' | indent
        exit "${PIPESTATUS[0]}") || die "this command of the manifest failed: see above"
    done < <(jq -r '.restore[]' <<<"$part")
  done < <(jq -c '.parts[]' "$folder/manifest.json")
  compare
}

run_folder() { jq -r '.manifest | sub("manifest.json$"; "")' <<<"$run"; }

# empty_server: the second server, without a table in it.
empty_server() {
  if kubectl --namespace demo-restore get deployment orders-db >/dev/null 2>&1; then
    # Its data goes with its pod.
    quietly kubectl --namespace demo-restore rollout restart deployment/orders-db
  else
    server demo-restore postgres18 orders-db
  fi
  ready demo-restore orders-db
  [[ $(sql demo-restore postgres "select count(*) from pg_database where not datistemplate") == 1 ]] ||
    die 'the second server is not empty: kubectl delete namespace demo-restore, then again'
  done_with 'a second PostgreSQL, empty' 0
}

# compare: every table of both servers, and what is around the tables.
compare() {
  local here_there
  fingerprint demo >"$scratch/original"
  fingerprint demo-restore >"$scratch/restored"
  say ''
  here_there=$(LC_ALL=C join -t '|' -a 1 -a 2 -e '-' -o 0,1.2,2.2,1.3,2.3 "$scratch/original" "$scratch/restored")
  awk -F '|' 'BEGIN {printf "  %-28s %9s %9s  %-16s %-16s\n", "table", "original", "restored", "SHA-256", "SHA-256"}
    {printf "  %-28s %9s %9s  %.16s %.16s %s\n", $1, $2, $3, $4, $5, ($4 == $5 && $2 == $3) ? "✔" : "✘ DIFFERS"}' <<<"$here_there"
  cmp -s "$scratch/original" "$scratch/restored" || die 'the restored server differs from the original: this backup would have been worth nothing'
  (($(wc -l <"$scratch/original") >= 8)) || die 'fewer tables than the demo has were compared'
}

# fingerprint NAMESPACE: a line for each table, and one for all definitions: columns, keys, views, functions, owners, rights.
fingerprint() {
  local definitions
  definitions=$(client "$1" pg_dump --schema-only --restrict-key=demo shop </dev/null)
  {
    client "$1" psql --no-psqlrc --quiet --no-align --tuples-only --dbname=shop <"$here/fingerprint.sql"
    printf 'definitions|%d|%s\n' "$(wc -l <<<"$definitions")" "$(sha256sum <<<"$definitions" | cut -d ' ' -f 1)"
  } | LC_ALL=C sort -t '|' -k 1,1
}
