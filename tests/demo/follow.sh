# shellcheck shell=bash
# Step 3: a backup on schedule, followed until it has succeeded.

# How long a run may take in all: up to a minute until it is due, then the dump.
readonly patience=300

step_backup() {
  title 3 'A backup on schedule'
  say '  What a user writes (tests/demo/backup.yaml):'
  sed -e '1d' -e 's/^/    /' "$here/backup.yaml"
  local since
  # No slot of an earlier demo counts.
  since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  quietly kubectl apply --filename "$here/backup.yaml"
  follow "$since"
}

# follow SINCE: tells what changes, sets `run` to the record of the first run that is due after SINCE.
follow() {
  local end=$((SECONDS + patience)) object told='' status job='' events=0
  while ((SECONDS < end)); do
    object=$(kubectl --namespace demo get databasebackup orders --output json)
    status=$(jq -r '.status | "\(.lastBackupStatus // "…"): " +
      (if .activeBackupJob then "Job \(.activeBackupJob)" else "next slot \(.nextScheduledBackup // "not known yet")" end)' <<<"$object")
    [[ $status == "$told" ]] || now "$status"
    told=$status
    tell_events
    run=$(jq -c --arg since "$1" '[.status.recentRuns[]? | select(.slot > $since and .result != "Running")] | last // empty' <<<"$object")
    if [[ -n $run ]]; then
      # The log's end may come a moment after the run's.
      [[ -z $job ]] || wait "$follower" || true
      [[ $(jq -r .result <<<"$run") == Succeeded ]] || failed "the run ended as $(jq -r '"\(.result), \(.reason): \(.message)"' <<<"$run")"
      return 0
    fi
    if [[ $(jq -r '.status.lastBackupStatus' <<<"$object") == Error ]]; then
      failed "no run can be started: $(jq -r '.status.failureReason' <<<"$object")"
    fi
    if [[ -z $job ]]; then
      job=$(jq -r '.status.activeBackupJob // empty' <<<"$object")
      if [[ -n $job ]]; then
        progress "$job" &
        follower=$!
      fi
    fi
    sleep 1
  done
  failed "no run has ended within $patience s"
}

now() { printf '  %s  %s\n' "$(date +%H:%M:%S)" "$*"; }

# tell_events: those that were not told yet; an event stays under its name.
tell_events() {
  local line
  while read -r line; do
    now "$line"
    events=$((events + 1))
  done < <(kubectl --namespace demo get events --field-selector involvedObject.kind=DatabaseBackup,involvedObject.name=orders \
    --output json | jq -r --argjson told "$events" --arg since "$since" '[.items[] | select(.metadata.creationTimestamp >= $since)]
      | sort_by(.metadata.creationTimestamp) | .[$told:][] | "event \(.reason): \(.message)"')
}

# progress JOB: what the mover logs, in words.
progress() {
  until kubectl --namespace demo logs "job/$1" --container mover >/dev/null 2>&1; do sleep 0.5; done
  kubectl --namespace demo logs "job/$1" --container mover --follow 2>/dev/null | jq --raw-input --raw-output --unbuffered '
    def mb: "\(. / 100000 | round / 10) MB";
    fromjson? |
    if .message == "progress" then "\(.part): \(.bytes_read | mb) read, \(.bytes_stored | mb) stored, \(.bytes_per_second | mb)/s"
    elif .message == "part stored" then "\(.part): complete, \(.bytes | mb) → \(.bytes_stored | mb)"
    elif .message == "run report" then "reports \(.outcome): \(.parts) parts, \(.bytes_read | mb) → \(.bytes_stored | mb)"
    else .message end' | while read -r line; do now "mover: $line"; done
}

# failed WHAT: everything that tells why.
failed() {
  printf '\n✘ %s\n\n' "$1"
  quietly kubectl --namespace demo patch databasebackup orders --type merge --patch '{"spec": {"suspend": true}}' || true
  kubectl --namespace demo describe databasebackup orders | sed -n '/^Status:/,/^  Recent Runs:/p' || true
  kubectl --namespace demo get jobs,pods --output wide || true
  kubectl --namespace demo get events --sort-by=.lastTimestamp | tail -n 15 || true
  kubectl --namespace demo logs --selector databasebackup.db.example.io/name=orders --all-containers --prefix --tail=20 || true
  kubectl --namespace db-backup-system logs deployment/db-backup-operator --tail=15 || true
  die 'the backup did not succeed. Failure Reason above says what and what to do; kubectl -n demo describe databasebackup orders shows it again'
}
