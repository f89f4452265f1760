# shellcheck shell=bash
# What failed and why, in few words, from the output of Rust's test programs. To be sourced.

# failed_tests LOG: their names.
failed_tests() {
  sed -nE 's/^test ([^ ]+)( - should panic)? \.\.\. FAILED$/\1/p' "$1" | sort -u
}

# failures LOG: each with its cause, a line each: what was asserted, or what an error was caused by.
failures() {
  awk '
    function finish() { if (name != "") print name ": " substr(cause, 1, 320) }
    /^---- .* stdout ----$/ { finish(); name = $2; cause = ""; wanted = 0; next }
    name == "" { next }
    /^failures:$/ { finish(); name = ""; next }
    / panicked at / || /^Caused by:$/ { wanted = 8; next }
    wanted && NF { gsub(/^ +| +$/, ""); cause = cause (cause == "" ? "" : " ") $0; wanted-- ; next }
    { wanted = 0 }
    END { finish() }
  ' "$1"
}
