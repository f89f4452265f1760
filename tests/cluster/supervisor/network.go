package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sysctls that the cluster needs or that the kubelet sets; `down` puts the machine's own values back.
var sysctls = []struct{ key, value string }{
	{"net/ipv4/ip_forward", "1"}, // a pod reaches a Service by way of the node
	// Answers between two pods cross the bridge and must still pass conntrack, which undoes the Service's address.
	{"net/bridge/bridge-nf-call-iptables", "1"},
	// Every `kubectl logs -f` and every watched volume takes one; the default of 128 is soon used up.
	{"fs/inotify/max_user_instances", "8192"},
	// Empty: only remembered, because the kubelet changes these at its start.
	{"vm/overcommit_memory", ""}, {"vm/panic_on_oom", ""}, {"kernel/panic", ""}, {"kernel/panic_on_oops", ""},
	{"kernel/keys/root_maxkeys", ""}, {"kernel/keys/root_maxbytes", ""},
}

func sysctlFile(key string) string { return filepath.Join("/proc/sys", key) }

// setSysctls remembers the machine's values in the state directory, then sets ours.
func setSysctls(s state) error {
	var before strings.Builder
	for _, c := range sysctls {
		if value, err := os.ReadFile(sysctlFile(c.key)); err == nil {
			fmt.Fprintf(&before, "%s %s\n", c.key, strings.TrimSpace(string(value)))
		}
	}
	if err := os.WriteFile(s.path("run", "sysctl"), []byte(before.String()), 0o644); err != nil {
		return fmt.Errorf("remember the machine's sysctls: %w", err)
	}
	for _, c := range sysctls {
		if c.value == "" {
			continue
		}
		if err := os.WriteFile(sysctlFile(c.key), []byte(c.value), 0); err != nil {
			return fmt.Errorf("set sysctl %s (the kernel needs bridge netfilter: try `modprobe br_netfilter`): %w", c.key, err)
		}
	}
	return nil
}

func restoreSysctls(s state) {
	content, err := os.ReadFile(s.path("run", "sysctl"))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(content)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), " "); found {
			_ = os.WriteFile(sysctlFile(key), []byte(value), 0)
		}
	}
}

// createNetwork makes the bridge and the fence around it.
func createNetwork(s state) error {
	if err := setSysctls(s); err != nil {
		return err
	}
	for _, args := range [][]string{
		// With an address of its own: a bridge without one takes the lowest of its ports' and so changes it as pods
		// come and go, and for half a minute the other pods would send to an address that nobody has.
		{"link", "add", bridge, "address", bridgeMAC, "type", "bridge"},
		{"addr", "add", nodeIP + "/24", "dev", bridge},
		{"link", "set", bridge, "up"},
		// The node itself calls Services too (the apiserver its webhooks). kube-proxy rewrites such packets after
		// this route was chosen; one that it does not rewrite ends at the bridge, which leads nowhere.
		{"route", "add", serviceCIDR, "dev", bridge, "src", nodeIP},
		// And should the bridge go, the range must not follow the default route.
		{"route", "add", "blackhole", serviceCIDR, "metric", "4096"},
	} {
		if _, err := run("ip", args...); err != nil {
			return fmt.Errorf("set up the network: %w", err)
		}
	}
	fence, err := render("fence.nft", map[string]string{"Table": nftTable, "Bridge": bridge, "Services": serviceCIDR, "Pods": podCIDR})
	if err != nil {
		return err
	}
	file := s.path("config", "fence.nft")
	if err := os.WriteFile(file, fence, 0o644); err != nil {
		return fmt.Errorf("write the packet filter: %w", err)
	}
	if _, err := run("nft", "-f", file); err != nil {
		return fmt.Errorf("set up the packet filter: %w", err)
	}
	return admitForwarding()
}

// Docker sets the policy of FORWARD to drop, which would stop the bridge's traffic too.
var forwardRules = [][]string{{"-i", bridge, "-o", bridge, "-j", "ACCEPT"}}

func admitForwarding() error {
	rules, err := run("iptables", "-S", "FORWARD")
	if err != nil || !strings.Contains(rules, "-P FORWARD DROP") {
		return nil
	}
	for _, rule := range forwardRules {
		if _, err := run("iptables", append([]string{"-I", "FORWARD"}, rule...)...); err != nil {
			return fmt.Errorf("admit the bridge's traffic: %w", err)
		}
	}
	return nil
}

// removeNetwork takes away everything that createNetwork, the CNI plugin and kube-proxy have made.
func removeNetwork() {
	for _, rule := range forwardRules {
		_, _ = run("iptables", append([]string{"-D", "FORWARD"}, rule...)...)
	}
	for _, link := range bridgePorts() {
		_, _ = run("ip", "link", "del", link)
	}
	_, _ = run("ip", "link", "del", bridge)
	_, _ = run("ip", "route", "del", "blackhole", serviceCIDR, "metric", "4096")
	for _, table := range nftTables() {
		_, _ = run("nft", append([]string{"delete", "table"}, strings.Fields(table)...)...)
	}
}

// bridgePorts lists the node's ends of the pods' cables.
func bridgePorts() []string {
	entries, err := os.ReadDir(filepath.Join("/sys/class/net", bridge, "brif"))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// nftTables lists our tables and kube-proxy's, as "family name".
func nftTables() []string {
	out, err := run("nft", "list", "tables")
	if err != nil {
		return nil
	}
	var tables []string
	for line := range strings.Lines(out) {
		table := strings.TrimPrefix(strings.TrimSpace(line), "table ")
		switch table {
		case "inet " + nftTable, "ip kube-proxy", "ip6 kube-proxy":
			tables = append(tables, table)
		}
	}
	return tables
}

// networkLeftovers names what of the network is still there.
func networkLeftovers() []string {
	var left []string
	if _, err := os.Stat(filepath.Join("/sys/class/net", bridge)); err == nil {
		left = append(left, "bridge "+bridge)
	}
	routes, _ := run("ip", "route", "show", "root", serviceCIDR)
	pods, _ := run("ip", "route", "show", "root", podCIDR)
	for line := range strings.Lines(routes + pods) {
		left = append(left, "route "+strings.TrimSpace(line))
	}
	for _, table := range nftTables() {
		left = append(left, "nftables table "+table)
	}
	return left
}
