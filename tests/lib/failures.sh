# shellcheck shell=bash
# What failed and why, in few words, from the output of Rust's test programs. To be sourced.

# failed_tests LOG: their names.
failed_tests() {
  sed -nE 's/^test ([^ ]+)( - should panic)? \.\.\. FAILED$/\1/p' "$1" | sort -u
}

# failures LOG: each with its cause, a line each: what was asserted, or what an error was caused by. Of a second try only that.
failures() {
  awk '
    function finish() { if (name != "") said[count++] = name ": " substr(cause, 1, 320) }
    /^flaky\? / { count = 0 }
    /^---- .* stdout ----$/ { finish(); name = $2; cause = ""; wanted = 0; next }
    name == "" { next }
    /^failures:$/ { finish(); name = ""; next }
    / panicked at / || /^Caused by:$/ { wanted = 8; next }
    /^Error: / { cause = substr($0, 8); next }
    wanted && NF { gsub(/^ +| +$/, ""); cause = cause (cause == "" ? "" : " ") $0; wanted--; next }
    { wanted = 0 }
    END { finish(); for (i = 0; i < count; i++) print said[i] }
  ' "$1"
}

# reasons STAGE LOG: why a stage failed: its tests, or else the lines that speak of failure, or its last one.
reasons() {
  local found line
  found=$(failures "$2")
  [[ -n $found ]] || found=$(grep -m 5 -E '^(FAILED|error)' "$2" || tail -n 1 "$2")
  while read -r line; do printf 'failed: %s: %.320s\n' "$1" "$line"; done <<<"$found"
}
