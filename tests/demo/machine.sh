# shellcheck shell=bash
# Step 1: a Kubernetes with the operator in it.

step_machine() {
  title 1 'A Kubernetes with the operator in it'
  work 'what the machine lacks' 'install what it names by hand' "$root/tests/setup"
  if [[ $CLUSTER == own ]]; then
    # The cluster is a matter of Go and disk, the image one of Rust: both at a time.
    "$root/tests/cluster/up" >"$logs/demo-cluster.log" 2>&1 </dev/null &
    local cluster=$!
    "$root/tests/images/build" postgres18 s3 >"$logs/demo-images.log" 2>&1 </dev/null &
    local images=$!
    work "the operator's image" 'run make image' make -C "$root" --no-print-directory image
    joined "$images" 'images of PostgreSQL and an S3 server' demo-images 'run tests/images/build postgres18 s3'
    joined "$cluster" 'the cluster' demo-cluster 'run make cluster-down cluster-up'
  else
    kubectl get namespaces >/dev/null || die 'CLUSTER=existing, but kubectl reaches no cluster: see its message above'
  fi
  work 'images in the cluster' 'run make cluster-down, then make demo' "$root/tests/load" postgres18 s3
  work 'the operator' 'see deploy/base and tests/operator' "$root/tests/operator/install"
}

# joined PID WHAT LOG REMEDY: waits for what was started beside.
joined() {
  local began=$SECONDS
  wait "$1" || broken "$2" "$logs/$3.log" "$4"
  done_with "$2" $((SECONDS - began))
}
