package main

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"os"
	"text/template"
)

//go:embed files
var files embed.FS

// render fills one of the embedded templates.
func render(name string, data any) ([]byte, error) {
	t, err := template.New(name).
		Funcs(template.FuncMap{"base64": base64.StdEncoding.EncodeToString}).
		ParseFS(files, "files/"+name)
	if err != nil {
		return nil, fmt.Errorf("read the embedded template %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("fill the template %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// writeConfigs writes the configuration file of every program that wants one.
func writeConfigs(s state) error {
	data := map[string]string{
		"State": s.dir, "NodeIP": nodeIP, "Domain": clusterDomain, "Bridge": bridge, "Network": cniNetwork,
		"PodCIDR": podCIDR, "PodFirst": podFirst, "PodLast": podLast, "Cgroup": cgroupName,
		"PauseImage": pauseImage, "Socket": s.containerdSocket(),
	}
	for name, dest := range map[string]string{
		"containerd.toml": s.path("config", "containerd.toml"),
		"cni.conflist":    s.path("cni", "10-dbbackup.conflist"),
		"kubelet.yaml":    s.path("config", "kubelet.yaml"),
		"kube-proxy.yaml": s.path("config", "kube-proxy.yaml"),
		"audit.yaml":      s.path("config", "audit.yaml"),
		"Corefile":        s.path("config", "Corefile"),
	} {
		out, err := render(name, data)
		if err != nil {
			return err
		}
		if err := os.WriteFile(dest, out, 0o600); err != nil {
			return fmt.Errorf("write a configuration: %w", err)
		}
	}
	// Pods get no name server and no search domain of the machine.
	return os.WriteFile(s.path("config", "resolv.conf"), nil, 0o644)
}
