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
	stray = append(stray, deadSockets()...)
	results, _ := filepath.Glob(filepath.Join(cniCache, cniNetwork+"-*"))
	stray = append(stray, results...)
	links, _ := filepath.Glob(filepath.Join(containerLinks, "*.log"))
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, s.dir+"/") {
			stray = append(stray, link)
		}
	}
	return stray
}

// deadSockets lists shim sockets on which nobody listens any more. containerd puts them into a machine-wide
// directory under names that tell nothing, but a socket without a listener is of no use to anybody.
func deadSockets() []string {
	var dead []string
	sockets, _ := filepath.Glob(filepath.Join(shimSockets, "*"))
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
