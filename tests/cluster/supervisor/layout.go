package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// The benchmark ranges of RFC 2544: no network routes them, so the cluster cannot collide with the machine's
// own networks, and a packet that escapes by mistake is dropped by the first router.
const (
	nodeName      = "node"
	nodeIP        = "198.18.0.1" // the bridge's own address: gateway of the pods and home of the control plane
	podCIDR       = "198.18.0.0/24"
	podFirst      = "198.18.0.10"
	podLast       = "198.18.0.254"
	serviceCIDR   = "198.19.0.0/16"
	serviceIP     = "198.19.0.1" // the Service `kubernetes` always gets the range's first address
	clusterDomain = "cluster.local"
)

// Everything the kernel knows by a machine-wide name. One machine can hold one cluster: addresses are fixed.
const (
	bridge     = "dbbackup0"
	bridgeMAC  = "0a:58:c6:12:00:01" // locally administered; the last four bytes are the node's address
	nftTable   = "dbbackup-cluster"
	cgroupName = "dbbackup-cluster"
	cniNetwork = "dbbackup"
	lockFile   = "/run/dbbackup-cluster.lock"
	pauseImage = "db-backup.test/pause:1"
)

const defaultStateDir = "/var/lib/dbbackup-cluster"

// state is the directory that holds the whole cluster; throwing it away throws the cluster away.
type state struct{ dir string }

func stateFromEnv() (state, error) {
	dir := os.Getenv("DBBACKUP_CLUSTER")
	if dir == "" {
		dir = defaultStateDir
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return state{}, fmt.Errorf("resolve the state directory %q: %w", dir, err)
	}
	// `down` removes this directory whole, so refuse what can only be a mistake.
	if abs == "/" || filepath.Dir(abs) == "/" {
		return state{}, fmt.Errorf("DBBACKUP_CLUSTER=%s is a top-level directory, and `down` deletes it: choose a directory of its own", dir)
	}
	// A Unix socket's path is limited to 107 bytes, and containerd's sockets live below the directory.
	if len(abs) > 60 {
		return state{}, fmt.Errorf("DBBACKUP_CLUSTER=%s is too long for Unix sockets below it: use at most 60 bytes", dir)
	}
	return state{dir: abs}, nil
}

func (s state) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s state) kubeconfig() string       { return s.path("kubeconfig") }
func (s state) containerdSocket() string { return s.path("run", "containerd.sock") }
func (s state) bin(name string) string   { return s.path("bin", name) }
func (s state) logFile(name string) string {
	return s.path("logs", name+".log")
}

func (s state) create() error {
	for _, dir := range []string{"bin", "certs", "cni", "config", "etcd", "kubelet", "logs/pods", "run", "volumes"} {
		// 0711: containers that run as other users must be able to walk to their volumes.
		if err := os.MkdirAll(s.path(dir), 0o711); err != nil {
			return fmt.Errorf("create the state directory: %w", err)
		}
	}
	// The umask may have taken bits away from the directories that others walk through.
	for _, dir := range []string{".", "volumes", "kubelet"} {
		if err := os.Chmod(s.path(dir), 0o711); err != nil {
			return fmt.Errorf("open the state directory for containers: %w", err)
		}
	}
	return os.Chmod(s.path("certs"), 0o700)
}
