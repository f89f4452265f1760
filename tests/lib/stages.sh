# shellcheck shell=bash
# shellcheck disable=SC2154 # `logs` is common.sh's
# Stages: a command with its output in a log of its own, the time it took, what it counted, and what to do if it failed.
# To be sourced after common.sh, with `set -e` on.

# shellcheck source=failures.sh
source "${BASH_SOURCE[0]%/*}/failures.sh"

results=$logs/results
running=$logs/running
mkdir -p "$running"

# stage NAME HINT COMMAND...: never fails itself; `verdict` and `passed` know how it went.
stage() {
  local name=$1 hint=$2 began=$SECONDS log=$logs/$1.log code=0 child counts passed failed
  shift 2
  printf '▶ %s\n' "$name"
  # In a process group of its own, so that it can be ended whole.
  setsid "$@" >"$log" 2>&1 </dev/null &
  child=$!
  echo "$child" >"$running/$name"
  heartbeat "$name" "$child" "$log" "$began"
  wait "$child" || code=$?
  rm -f "$running/$name"
  counts=$(count "$log")
  passed=${counts% *} failed=${counts#* }
  if ((code == 0 && passed == 0)) && grep -q '^test result: ' "$log"; then
    code=1
    echo 'no test ran' >>"$log"
  fi
  # What failed before it could count is one failure all the same.
  ((code == 0 || failed > 0)) || failed=1
  printf '%s %s %s %s %s\n' "$name" "$code" "$passed" "$failed" $((SECONDS - began)) >>"$results"
  if ((code == 0)); then
    printf '✔ %s: %s%s\n' "$name" "$(duration $((SECONDS - began)))" "$( ((passed == 0)) || echo ", $passed passed")"
  else
    printf '✘ %s failed after %s. The end of %s:\n' "$name" "$(duration $((SECONDS - began)))" "$log"
    tail -n 25 "$log" | sed 's/^/    /'
    printf '  → %s\n' "$hint"
  fi
}

# stop: ends the stages that run.
stop() {
  local file
  for file in "$running"/*; do
    [[ ! -f $file ]] || kill -TERM -- "-$(cat "$file")" 2>/dev/null || true
  done
}

# heartbeat NAME PID LOG BEGAN: a line twice a minute, so that a long stage shows that it lives.
heartbeat() {
  local ticks=0
  while kill -0 "$2" 2>/dev/null; do
    sleep 0.5
    ticks=$((ticks + 1))
    if ((ticks % 60 == 0)); then
      printf '  %s, %s: %.100s\n' "$1" "$(duration $((SECONDS - $4)))" "$(tail -n 1 "$3" | tr -cd '[:print:]')"
    fi
  done
}

# count LOG: what the test programs counted, as "passed failed".
count() {
  sed -nE -e 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed;.*/\1 \2/p' -e 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' \
    -e 's/^first try: ([0-9]+) passed; .*/\1 0/p' "$1" |
    awk '{passed += $1; failed += $2} END {print passed + 0, failed + 0}'
}

duration() {
  if (($1 < 100)); then echo "$1 s"; else echo "$(($1 / 60)) min $(($1 % 60)) s"; fi
}

# passed NAME...: whether these stages ran and went well.
passed() {
  local name
  for name in "$@"; do
    grep -q "^$name 0 " "$results" || return 1
  done
}

# verdict: the table, what was flaky or failed and why, the sum on one line, and the exit code.
verdict() {
  local name code seconds passed failed
  printf '\n%-14s %8s %8s %12s\n' stage passed failed time
  while read -r name _ passed failed seconds; do
    printf '%-14s %8s %8s %12s\n' "$name" "$passed" "$failed" "$(duration "$seconds")"
  done <"$results"
  printf '\n'
  while read -r name code _; do
    sed -n 's/^flaky? /flaky: /p' "$logs/$name.log"
    ((code == 0)) || reasons "$name" "$logs/$name.log"
  done <"$results"
  read -r passed failed < <(awk '{passed += $3; failed += $4} END {print passed + 0, failed + 0}' "$results")
  printf '%s passed, %s failed\n' "$passed" "$failed"
  ((failed == 0 && passed > 0))
}
