package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Places outside the state directory where a component insists on leaving something.
const (
	shimSockets    = "/run/containerd/s"
	cniCache       = "/var/lib/cni/results"
	containerLinks = "/var/log/containers"
	devicePlugins  = "/var/lib/kubelet/device-plugins"
)

// down ends the cluster and removes every trace; it works on any half-dead predecessor, and on nothing at all.
func down(s state, r reporter) error {
	pids := members()
	if err := killMembers(30 * time.Second); err != nil {
		return err
	}
	r.say("ended %d processes", len(pids))
	if err := unmountAll(s.dir); err != nil {
		return err
	}
	removeNetwork()
	restoreSysctls(s)
	removeCgroups()
	for _, file := range strayFiles(s) {
		_ = os.Remove(file)
	}
	// Directories that these components make on a machine that has none; in use by others, they are not empty.
	for _, dir := range []string{containerLinks, devicePlugins, filepath.Dir(devicePlugins), cniCache, filepath.Dir(cniCache), shimSockets} {
		_ = os.Remove(dir)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove the state directory: %w", err)
	}
	// The kernel takes a network namespace and a loop device away a moment after their last user.
	left := leftovers(s)
	for range 20 {
		if len(left) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
		left = leftovers(s)
	}
	if len(left) > 0 {
		return fmt.Errorf("still there after the clean-up:\n  %s", strings.Join(left, "\n  "))
	}
	r.say("nothing is left: no process, mount, network, packet filter, control group or file")
	return nil
}

// leftovers names everything of a cluster, running or dead, that is still on the machine.
func leftovers(s state) []string {
	var left []string
	for _, pid := range members() {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		left = append(left, fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(name))))
	}
	mounts, _ := mountPoints(s.dir)
	for _, m := range mounts {
		left = append(left, "mount "+m.path)
	}
	left = append(left, networkLeftovers()...)
	for _, dir := range cgroupDirs() {
		left = append(left, "control group "+dir)
	}
	for _, device := range loopDevices(s) {
		left = append(left, "loop device "+device)
	}
	left = append(left, strayFiles(s)...)
	if _, err := os.Stat(s.dir); err == nil {
		left = append(left, "directory "+s.dir)
	}
	return left
}

// strayFiles lists what this cluster has left outside its state directory.
func strayFiles(s state) []string {
	var stray []string
	// Both directories of sockets are machine-wide, and the names tell nothing; but a socket without a listener is
	// of no use to anybody.
	stray = append(stray, deadSockets(shimSockets)...)
	stray = append(stray, deadSockets(devicePlugins)...)
	results, _ := filepath.Glob(filepath.Join(cniCache, "*"))
	for _, result := range results {
		// Each names the network namespace of its pod, which lies in the state directory.
		if content, err := os.ReadFile(result); err == nil && strings.Contains(string(content), s.dir+"/") {
			stray = append(stray, result)
		}
	}
	links, _ := filepath.Glob(filepath.Join(containerLinks, "*.log"))
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, s.dir+"/") {
			stray = append(stray, link)
		}
	}
	return stray
}

// deadSockets lists the sockets in a directory on which nobody listens any more.
func deadSockets(dir string) []string {
	var dead []string
	sockets, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, socket := range sockets {
		connection, err := net.DialTimeout("unix", socket, time.Second)
		if err == nil {
			connection.Close()
			continue
		}
		if strings.Contains(err.Error(), "connection refused") {
			dead = append(dead, socket)
		}
	}
	return dead
}

// loopDevices lists the loop devices whose image lies in the state directory.
func loopDevices(s state) []string {
	var devices []string
	backings, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range backings {
		if image, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(image), s.dir+"/") {
			devices = append(devices, "/dev/"+filepath.Base(filepath.Dir(filepath.Dir(file))))
		}
	}
	return devices
}
