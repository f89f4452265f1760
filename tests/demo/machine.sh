# shellcheck shell=bash
# Step 1: a Kubernetes with the operator in it.

step_machine() {
  title 1 'A Kubernetes with the operator in it'
  work 'what the machine lacks' 'install what it names by hand' "$root/tests/setup"
  # The image is a matter of Rust, the rest one of Go and of downloads: both at a time.
  beside >"$logs/demo-cluster.log" 2>&1 </dev/null &
  local beside=$!
  work "the operator's image" 'run make image' make -C "$root" --no-print-directory image
  local began=$SECONDS
  wait "$beside" ||
    broken 'the cluster' "$logs/demo-cluster.log" 'run make cluster-down cluster-up, or mend what kubectl points at; if it was an image: tests/images/build'
  done_with 'a cluster, images of PostgreSQL and of an S3 server' $((SECONDS - began))
  if [[ $CLUSTER == own ]]; then
    work 'images in the cluster' 'run make cluster-down, then make demo' "$root/tests/load" postgres18 s3
  else
    shown "$root/tests/load" postgres18 s3
  fi
  work 'the operator' 'see deploy/base and tests/operator' "$root/tests/operator/install"
}

beside() {
  "$root/tests/images/build" postgres18 s3 || return
  if [[ $CLUSTER == own ]]; then "$root/tests/cluster/up"; else kubectl get namespaces; fi
}
