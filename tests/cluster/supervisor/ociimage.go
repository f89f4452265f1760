package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
)

// The subset of the OCI image format (image-spec 1.0) that one static binary in one layer needs.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type imageIndex struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Manifests     []descriptor `json:"manifests"`
}

const (
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar"

	// containerd takes an image's full name from its own annotation; the standard one holds only a tag.
	nameAnnotation = "io.containerd.image.name"
	tagAnnotation  = "org.opencontainers.image.ref.name"
)

// writeImage wraps one static binary as an OCI archive. The image holds nothing else, runs as nobody in
// particular (65532, a user that no system has), and is the same bytes for the same binary.
func writeImage(name, binary, archive string) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("read the image's binary: %w", err)
	}
	entry := "/" + strings.Split(path.Base(name), ":")[0]
	layer, err := tarOf(map[string][]byte{strings.TrimPrefix(entry, "/"): content}, 0o755)
	if err != nil {
		return err
	}
	blobs := map[string][]byte{}
	put := func(mediaType string, data []byte) descriptor {
		digest := fmt.Sprintf("%x", sha256.Sum256(data))
		blobs["blobs/sha256/"+digest] = data
		return descriptor{MediaType: mediaType, Digest: "sha256:" + digest, Size: len(data)}
	}
	putJSON := func(mediaType string, value any) descriptor {
		data, _ := json.Marshal(value) // maps and strings: cannot fail
		return put(mediaType, data)
	}
	layerDescriptor := put(mediaLayer, layer)
	config := putJSON(mediaConfig, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{entry}, "User": "65532:65532", "WorkingDir": "/"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layerDescriptor.Digest}},
	})
	manifest := putJSON(mediaManifest, map[string]any{
		"schemaVersion": 2, "mediaType": mediaManifest, "config": config, "layers": []descriptor{layerDescriptor},
	})
	manifest.Annotations = map[string]string{nameAnnotation: name, tagAnnotation: name}
	index, _ := json.Marshal(imageIndex{SchemaVersion: 2, MediaType: mediaIndex, Manifests: []descriptor{manifest}})
	blobs["index.json"] = index
	blobs["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	out, err := tarOf(blobs, 0o644)
	if err != nil {
		return err
	}
	if err := os.WriteFile(archive, out, 0o644); err != nil {
		return fmt.Errorf("write the image archive: %w", err)
	}
	return nil
}

func tarOf(contents map[string][]byte, mode int64) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range sortedKeys(contents) {
		header := tar.Header{Name: name, Mode: mode, Size: int64(len(contents[name])), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(&header); err != nil {
			return nil, fmt.Errorf("write %s into an archive: %w", name, err)
		}
		if _, err := w.Write(contents[name]); err != nil {
			return nil, fmt.Errorf("write %s into an archive: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("finish an archive: %w", err)
	}
	return out.Bytes(), nil
}

// archiveImages reads which images an OCI archive promises: full name to digest. Nothing at all, without an
// error, for an archive of another kind (docker save): containerd can load that, we just cannot look inside.
func archiveImages(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open the image archive: %w", err)
	}
	defer f.Close()
	images := map[string]string{}
	for reader := tar.NewReader(f); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return images, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s (is it an uncompressed OCI archive?): %w", file, err)
		}
		if path.Clean(header.Name) != "index.json" {
			continue
		}
		var index imageIndex
		if err := json.NewDecoder(reader).Decode(&index); err != nil {
			return nil, fmt.Errorf("read index.json of %s: %w", file, err)
		}
		for _, m := range index.Manifests {
			name := m.Annotations[nameAnnotation]
			if name == "" {
				name = m.Annotations[tagAnnotation]
			}
			if name == "" {
				return nil, fmt.Errorf("an image in %s has no name: set the annotation %s on its entry in index.json", file, nameAnnotation)
			}
			images[name] = m.Digest
		}
		return images, nil
	}
}
