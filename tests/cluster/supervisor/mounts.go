package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
)

type mountPoint struct{ path, fsType string }

// mountPoints lists the mounts at or below a directory, in the order in which they were made.
func mountPoints(dir string) ([]mountPoint, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read the mounts: %w", err)
	}
	defer f.Close()
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var mounts []mountPoint
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		separator := slices.Index(fields, "-")
		if len(fields) < 5 || separator < 0 || separator+1 >= len(fields) {
			continue
		}
		path := unescape.Replace(fields[4])
		if path == dir || strings.HasPrefix(path, dir+"/") {
			mounts = append(mounts, mountPoint{path, fields[separator+1]})
		}
	}
	return mounts, nil
}

// unmountAll takes away every mount below the directory, the youngest first. All their users are dead by now.
func unmountAll(dir string) error {
	// Shadowed and stacked mounts show up only when the upper one has gone, hence the repetition.
	for range 5 {
		mounts, err := mountPoints(dir)
		if err != nil || len(mounts) == 0 {
			return err
		}
		slices.Reverse(mounts)
		for _, m := range mounts {
			if err := syscall.Unmount(m.path, 0); err != nil {
				// Lazily, if somebody's shell stands in it: the mount goes with its last user.
				_ = syscall.Unmount(m.path, syscall.MNT_DETACH)
			}
		}
	}
	mounts, err := mountPoints(dir)
	if err == nil && len(mounts) > 0 {
		err = fmt.Errorf("%d mounts below %s cannot be removed, the first is %s", len(mounts), dir, mounts[0].path)
	}
	return err
}
