package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The cluster's processes live in a control group of their own, in every hierarchy: the programs and containerd's
// shims in <cgroup>/system, the pods in <cgroup>/kubepods. Membership is inherited and cannot go stale, so it is
// what finds the processes that a killed predecessor has left behind; pid files only tell who is who.

const cgroupFS = "/sys/fs/cgroup"

func unified() bool {
	_, err := os.Stat(cgroupFS + "/cgroup.controllers")
	return err == nil
}

// hierarchies returns the roots of all mounted cgroup hierarchies: one on v2, one per controller on v1.
func hierarchies() ([]string, error) {
	if unified() {
		return []string{cgroupFS}, nil
	}
	mounts, err := mountPoints(cgroupFS)
	if err != nil {
		return nil, err
	}
	var roots []string
	for _, m := range mounts {
		if m.fsType == "cgroup" || m.fsType == "cgroup2" {
			roots = append(roots, m.path)
		}
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("no cgroup hierarchy is mounted below %s: mount one (v1 or v2) first", cgroupFS)
	}
	slices.Sort(roots)
	return roots, nil
}

// joinCgroup moves this process, and so all that it will start, into <cgroup>/system.
func joinCgroup() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		top := filepath.Join(root, cgroupName)
		group := filepath.Join(top, "system")
		if err := os.MkdirAll(group, 0o755); err != nil {
			return fmt.Errorf("create a control group (root and a writable %s are needed): %w", cgroupFS, err)
		}
		if err := prepareCgroup(root, top, group); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return fmt.Errorf("join the control group %s: %w", group, err)
		}
	}
	return nil
}

func prepareCgroup(root, top, group string) error {
	if unified() {
		// A v2 group hands a controller down only if told so, level by level.
		for _, dir := range []string{root, top} {
			for _, controller := range []string{"cpuset", "cpu", "io", "memory", "hugetlb", "pids"} {
				// A controller that this kernel lacks is missed by the kubelet, which says it better than we could.
				_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
			}
		}
		return nil
	}
	// A new v1 cpuset has no processors and admits nobody until it is given some.
	for _, dir := range []string{top, group} {
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, file), value, 0); err != nil {
				return fmt.Errorf("hand processors to the control group %s: %w", dir, err)
			}
		}
	}
	return nil
}

// cgroupDirs lists the cluster's groups in all hierarchies, children before their parents.
func cgroupDirs() []string {
	roots, err := hierarchies()
	if err != nil {
		return nil
	}
	var dirs []string
	for _, root := range roots {
		_ = filepath.WalkDir(filepath.Join(root, cgroupName), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
	}
	slices.Reverse(dirs)
	return dirs
}

// members returns the pids of the cluster's processes, except our own.
func members() []int {
	seen := map[int]bool{}
	for _, dir := range cgroupDirs() {
		content, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(content)) {
			// Zero is a process of another pid namespace; nobody here could kill it.
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 && pid != os.Getpid() {
				seen[pid] = true
			}
		}
	}
	var pids []int
	for pid := range seen {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids
}

// killMembers ends every process of the cluster. Nothing here is worth a graceful end: the data dies too.
func killMembers(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		pids := members()
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not die: see /proc/<pid>/stack for what they wait for", pids)
		}
		thaw()
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// thaw lets paused containers run: a frozen v1 task does not notice even SIGKILL.
func thaw() {
	for _, dir := range cgroupDirs() {
		file := filepath.Join(dir, "freezer.state")
		if content, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(content)) != "THAWED" {
			_ = os.WriteFile(file, []byte("THAWED"), 0)
		}
	}
}

func removeCgroups() {
	for _, dir := range cgroupDirs() {
		// A group stays busy for a moment after its last process; the verification reports what stays for good.
		for range 20 {
			if err := os.Remove(dir); err == nil || os.IsNotExist(err) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}
