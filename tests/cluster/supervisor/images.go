package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// ctr talks to the cluster's own containerd, in the namespace that the kubelet sees.
func ctr(s state, args ...string) (string, error) {
	return run("ctr", append([]string{"--address", s.containerdSocket(), "--namespace", "k8s.io"}, args...)...)
}

func importPause(s state, binary string) error {
	archive := s.path("run", "pause.tar")
	if err := writeImage(pauseImage, binary, archive); err != nil {
		return err
	}
	return importArchives(s, []string{archive})
}

// importArchives loads the archives whose images containerd does not hold yet with the same digest.
func importArchives(s state, archives []string) error {
	if len(archives) == 0 {
		return fmt.Errorf("import needs at least one OCI archive")
	}
	if !alive(s, "containerd") {
		return fmt.Errorf("no cluster runs in %s: start it with tests/cluster/up", s.dir)
	}
	present, err := presentImages(s)
	if err != nil {
		return err
	}
	for _, archive := range archives {
		wanted, err := archiveImages(archive)
		if err != nil {
			return err
		}
		names := sortedKeys(wanted)
		if len(wanted) > 0 && !slices.ContainsFunc(names, func(name string) bool { return present[name] != wanted[name] }) {
			fmt.Printf("already there: %s\n", strings.Join(names, " "))
			continue
		}
		start := time.Now()
		if _, err := ctr(s, "images", "import", "--snapshotter", "overlayfs", archive); err != nil {
			return fmt.Errorf("import %s: %w", archive, err)
		}
		if present, err = presentImages(s); err != nil {
			return err
		}
		for _, name := range names {
			if present[name] != wanted[name] {
				return fmt.Errorf("import %s: containerd took it, but has %q as %q instead of %q", archive, name, present[name], wanted[name])
			}
		}
		info, err := os.Stat(archive)
		if err != nil {
			return fmt.Errorf("look at %s: %w", archive, err)
		}
		fmt.Printf("imported in %.1f s: %s (%d MiB)\n", time.Since(start).Seconds(), strings.Join(names, " "), info.Size()>>20)
	}
	return nil
}

// presentImages returns full name to digest of what containerd holds.
func presentImages(s state) (map[string]string, error) {
	out, err := ctr(s, "images", "list")
	if err != nil {
		return nil, fmt.Errorf("list the loaded images: %w", err)
	}
	images := map[string]string{}
	for line := range strings.Lines(out) {
		// REF TYPE DIGEST …
		if fields := strings.Fields(line); len(fields) > 2 && strings.HasPrefix(fields[2], "sha256:") {
			images[fields[0]] = fields[2]
		}
	}
	return images, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
