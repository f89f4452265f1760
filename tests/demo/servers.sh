# shellcheck shell=bash
# Step 2: a database worth looking at, and a place for its backups.

# shellcheck disable=SC2016 # meant to be taken literally, by everybody
# Everything that bites when a password ends up in a shell, a URL or a config file.
readonly password='p@ss "w0rd" it'\''s $(id) `id` \ % & ü 🐘'

step_servers() {
  title 2 'A database worth looking at, and an S3 server'
  local name
  for name in demo demo-restore; do
    kubectl create namespace "$name" --dry-run=client --output yaml | quietly kubectl apply --filename -
    quietly kubectl label namespace "$name" pod-security.kubernetes.io/enforce=restricted --overwrite
  done
  secret demo orders-db-admin "password=$password"
  secret demo s3-admin 'password=store-secret'
  secret demo orders-db-backup username=backup "password=$password"
  secret demo backup-store AWS_ACCESS_KEY_ID=admin AWS_SECRET_ACCESS_KEY=store-secret
  secret demo-restore orders-db-admin 'password=another'
  server demo postgres18 orders-db
  server demo s3 s3
  ready demo orders-db
  ready demo s3
  if [[ $(sql demo postgres "select shobj_description(oid, 'pg_database') from pg_database where datname = 'shop'") == loaded ]]; then
    done_with 'PostgreSQL with its data, from the last time' 0
  else
    work 'loading the shop into PostgreSQL' 'kubectl delete namespace demo, then again' load_shop
  fi
  s3 'mb backups'
  sql demo shop "select format('  %-22s %9s rows %10s', relname, to_char(reltuples, 'FM999,999'), pg_size_pretty(pg_total_relation_size(oid)))
    from pg_class where relkind = 'r' and relnamespace = 'shop'::regnamespace order by 1"
  sql demo shop "select format('  %-22s %9s      %10s', 'large objects', count(distinct loid), pg_size_pretty(sum(length(data)))) from pg_largeobject"
}

# secret NAMESPACE NAME KEY=VALUE...
secret() {
  local namespace=$1 name=$2 literals=() pair
  shift 2
  for pair in "$@"; do literals+=("--from-literal=$pair"); done
  kubectl --namespace "$namespace" create secret generic "$name" "${literals[@]}" --dry-run=client --output yaml |
    quietly kubectl apply --filename -
}

# server NAMESPACE MANIFEST NAME: a server of tests/images under a name of ours.
server() {
  sed -e "s/\b$2\b/$3/g" -e "s|db-backup\.test/|$REGISTRY/|" "$root/tests/images/servers/$2.yaml" |
    if [[ $CLUSTER == existing ]]; then sed 's/imagePullPolicy: Never/imagePullPolicy: IfNotPresent/'; else cat; fi |
    quietly kubectl --namespace "$1" apply --filename -
}

ready() {
  quietly kubectl --namespace "$1" rollout status "deployment/$2" --timeout=180s && return
  kubectl --namespace "$1" get pods,events >&2
  die "the server $2 does not become ready: see its pod and events above, and kubectl -n $1 logs deployment/$2"
}

# client NAMESPACE PROGRAM...: of PostgreSQL, inside the server's pod, as its administrator.
client() {
  local namespace=$1
  shift
  kubectl --namespace "$namespace" exec --stdin deployment/orders-db --container server -- \
    env PGHOST=/tmp PGUSER=postgres "$@"
}

# sql NAMESPACE DATABASE STATEMENT
sql() { client "$1" psql --no-psqlrc --quiet --no-align --tuples-only --set=ON_ERROR_STOP=1 --dbname="$2" --command="$3" </dev/null; }

load_shop() {
  client demo psql --no-psqlrc --quiet --set=backup_password="$password" --dbname=postgres <"$here/shop.sql" &&
    sql demo shop 'vacuum analyze'
}

# s3 ARGUMENTS...: s3probe, in the server's pod, which has the secret.
s3() {
  # shellcheck disable=SC2016 # expanded in the pod
  kubectl --namespace demo exec deployment/s3 --container server -- sh -c '
    export S3_ENDPOINT=http://127.0.0.1:7070 AWS_ACCESS_KEY_ID=admin AWS_SECRET_ACCESS_KEY="$(cat /admin/password)"
    exec s3probe '"$1"
}
