# shellcheck shell=bash
# Images from a layer, without a daemon: an OCI layout (https://github.com/opencontainers/image-spec) in a tar.

default_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# pack LAYER_TAR OUT_TAR REFERENCE PATH_VARIABLE
#
# One layer, in zstd's fastest form: a third of the size, and containerd imports it a little sooner than the plain tar
# because it writes less; gzip takes four times as long to make. The config's times are fixed, so the same layer gives
# the same image id.
pack() {
  local layer=$1 out=$2 reference=$3 path=$4 dir plain_hash layer_hash config_hash manifest_hash
  dir=$(mktemp -d "$work/oci.XXXXXX")
  mkdir -p "$dir/blobs/sha256"
  # The config names the layer by its content, the manifest by its compressed form.
  plain_hash=$(sha256sum "$layer" | cut -d' ' -f1)
  layer_hash=$(zstd --quiet --stdout -1 --threads=0 "$layer" | store_blob "$dir")
  rm "$layer"

  # PATH is what an exec'd process gets; the user is numeric because runAsNonRoot cannot judge a name.
  config_hash=$(jq -n --arg diff "sha256:$plain_hash" --arg path "$path" --arg arch "$(dpkg --print-architecture)" '{
      created: "1970-01-01T00:00:00Z", architecture: $arch, os: "linux",
      config: {User: "65532:65532", WorkingDir: "/", Env: ["PATH=\($path)", "LANG=C.UTF-8", "HOME=/tmp"]},
      rootfs: {type: "layers", diff_ids: [$diff]}
    }' | store_blob "$dir")
  manifest_hash=$(jq -n --argjson config "$(descriptor "$dir" "$config_hash" config.v1+json)" \
    --argjson layer "$(descriptor "$dir" "$layer_hash" layer.v1.tar+zstd)" '{
      schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: $config, layers: [$layer]
    }' | store_blob "$dir")

  # containerd reads the full reference from the first annotation; other tools know only the second, the tag.
  jq -n --argjson manifest "$(descriptor "$dir" "$manifest_hash" manifest.v1+json)" --arg reference "$reference" '{
      schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [$manifest + {annotations: {
        "io.containerd.image.name": $reference,
        "org.opencontainers.image.ref.name": ($reference | split(":") | last)
      }}]
    }' >"$dir/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$dir/oci-layout"

  deterministic_tar "$dir" "$out"
  rm -rf "$dir"
}

# store_blob LAYOUT <CONTENT: prints the hash that names the blob.
store_blob() {
  local temporary hash
  temporary=$(mktemp "$1/blob.XXXXXX")
  cat >"$temporary"
  hash=$(sha256sum "$temporary" | cut -d' ' -f1)
  chmod 0644 "$temporary"
  mv "$temporary" "$1/blobs/sha256/$hash"
  printf '%s' "$hash"
}

# descriptor LAYOUT HASH KIND
descriptor() {
  jq -n --arg kind "application/vnd.oci.image.$3" --arg hash "$2" --argjson size "$(stat -c %s "$1/blobs/sha256/$2")" \
    '{mediaType: $kind, digest: "sha256:\($hash)", size: $size}'
}

# deterministic_tar DIRECTORY OUT_TAR: same content, same bytes.
deterministic_tar() {
  tar --create --file "$2" --directory "$1" --format=posix --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 \
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime .
}
