package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// binaries are the files that the entry script has built.
type binaries struct{ components, coredns, pause string }

// reporter prints each step with the time since the start.
type reporter struct{ start time.Time }

func (r reporter) say(format string, args ...any) {
	fmt.Printf("[%5.1fs] %s\n", time.Since(r.start).Seconds(), fmt.Sprintf(format, args...))
}

// up makes the cluster run: does nothing to a healthy one, and replaces any other.
func up(s state, b binaries) error {
	r := reporter{time.Now()}
	if ill := probe(s, 20*time.Second); ill == nil {
		r.say("the cluster is already up and healthy")
		printUsage(s)
		return nil
	} else if traces := leftovers(s); len(traces) > 0 {
		r.say("clearing away an earlier cluster (%v)", ill)
		if err := down(s, r); err != nil {
			return err
		}
	}
	if err := prepare(s, b, r); err != nil {
		return err
	}
	if err := startAll(s, b, r); err != nil {
		return fmt.Errorf("%w\n(the state is left for a look: logs in %s; `down` clears it)", err, s.path("logs"))
	}
	r.say("the cluster is up")
	printUsage(s)
	return nil
}

func prepare(s state, b binaries, r reporter) error {
	r.say("certificates, configuration, control groups, network in %s", s.dir)
	if err := s.create(); err != nil {
		return err
	}
	if err := linkBinaries(s, b); err != nil {
		return err
	}
	if err := writeCredentials(s); err != nil {
		return err
	}
	if err := writeConfigs(s); err != nil {
		return err
	}
	if err := joinCgroup(); err != nil {
		return err
	}
	return createNetwork(s)
}

// linkBinaries gives every program its name in <state>/bin; the multi-call binary looks at it.
func linkBinaries(s state, b binaries) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the supervisor's own file: %w", err)
	}
	targets := map[string]string{"coredns": b.coredns, "provisioner": self, "kubectl": b.components}
	for _, p := range programs(s) {
		if _, found := targets[p.name]; !found {
			targets[p.name] = b.components
		}
	}
	if targets["containerd"], err = exec.LookPath("containerd"); err != nil {
		return fmt.Errorf("containerd is missing: install the package `containerd`: %w", err)
	}
	for name, target := range targets {
		if err := os.Symlink(target, s.bin(name)); err != nil {
			return fmt.Errorf("link a program: %w", err)
		}
	}
	return nil
}

func startAll(s state, b binaries, r reporter) error {
	r.say("starting containerd, etcd, kube-apiserver")
	if err := spawnAll(s, containerd(s), etcd(s), apiserver(s)); err != nil {
		return err
	}
	if err := await(s, 60*time.Second, "containerd", func(context.Context) error {
		_, err := ctr(s, "version")
		return err
	}); err != nil {
		return err
	}
	r.say("containerd answers; importing the pause image")
	if err := importPause(s, b.pause); err != nil {
		return err
	}
	client, err := newClient(s.kubeconfig())
	if err != nil {
		return err
	}
	if err := await(s, 120*time.Second, "kube-apiserver", func(ctx context.Context) error {
		return ready(ctx, client)
	}); err != nil {
		return err
	}
	r.say("kube-apiserver is ready; starting the rest")
	if err := spawnAll(s, controllerManager(s), scheduler(s), kubelet(s), proxy(s)); err != nil {
		return err
	}
	// These two would only be denied before their roles exist, and wait before they try again.
	if err := applyManifests(s); err != nil {
		return err
	}
	if err := spawnAll(s, coredns(s), provisioner(s)); err != nil {
		return err
	}
	if err := await(s, 120*time.Second, "kubelet", func(ctx context.Context) error {
		return nodeReady(ctx, client)
	}); err != nil {
		return err
	}
	r.say("node %s is Ready", nodeName)
	if err := await(s, 60*time.Second, "kube-controller-manager", func(ctx context.Context) error {
		return acceptsPods(ctx, client)
	}); err != nil {
		return err
	}
	if err := await(s, 60*time.Second, "coredns", dnsReady); err != nil {
		return err
	}
	return await(s, 60*time.Second, "kube-proxy", proxyReady)
}

// await repeats a check until it passes. It gives up early when a program has died, and shows its last words.
func await(s state, limit time.Duration, name string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		for _, p := range programs(s) {
			if _, statErr := os.Stat(s.pidFile(p.name)); statErr == nil && !alive(s, p.name) {
				return fmt.Errorf("%s has ended unexpectedly; the end of its log:\n%s", p.name, tail(s.logFile(p.name)))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready after %v: %w; the end of its log:\n%s", name, limit, err, tail(s.logFile(name)))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tail returns the last lines of a log, cut to what a terminal can take.
func tail(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	lines = lines[max(0, len(lines)-15):]
	for i, line := range lines {
		lines[i] = "  " + line[:min(len(line), 400)]
	}
	return strings.Join(lines, "\n")
}

func applyManifests(s state) error {
	manifests, err := files.ReadFile("files/manifests.yaml")
	if err != nil {
		return fmt.Errorf("read the embedded manifests: %w", err)
	}
	file := s.path("config", "manifests.yaml")
	if err := os.WriteFile(file, manifests, 0o644); err != nil {
		return fmt.Errorf("write the manifests: %w", err)
	}
	if _, err := run(s.bin("kubectl"), "--kubeconfig", s.kubeconfig(), "apply", "--filename", file); err != nil {
		return fmt.Errorf("apply the cluster's own objects: %w", err)
	}
	return nil
}

func printUsage(s state) {
	fmt.Printf("\n  export KUBECONFIG=%s\n  export PATH=\"$PATH:%s\"      # kubectl %s\n  kubectl get nodes\n\n",
		s.kubeconfig(), s.path("bin"), "of the cluster's version, if the machine has none")
}

// status tells what runs, and whether it works.
func status(s state) error {
	for _, p := range programs(s) {
		word := "dead"
		if alive(s, p.name) {
			word = "running"
		}
		fmt.Printf("%-24s %s\n", p.name, word)
	}
	if err := probe(s, 5*time.Second); err != nil {
		return err
	}
	fmt.Println("healthy")
	return nil
}

// probe returns nil for a cluster that works. A busy one gets some patience, one with a dead program gets none.
func probe(s state, patience time.Duration) error {
	for _, p := range programs(s) {
		if !alive(s, p.name) {
			return fmt.Errorf("%s is not running", p.name)
		}
	}
	client, err := newClient(s.kubeconfig())
	if err != nil {
		return err
	}
	return await(s, patience, "kube-apiserver", func(ctx context.Context) error {
		return errors.Join(ready(ctx, client), nodeReady(ctx, client), dnsReady(ctx), proxyReady(ctx))
	})
}
