package main

import "strings"

// program is one long-running process of the cluster.
type program struct {
	name string
	args []string
	env  []string
}

func words(text string, s state) []string {
	return strings.Fields(strings.NewReplacer(
		"$state", s.dir, "$certs", s.path("certs"), "$config", s.path("config"),
		"$node", nodeIP, "$services", serviceCIDR, "$domain", clusterDomain,
	).Replace(text))
}

// No component elects a leader: each is alone, and a lease lost while the machine is busy compiling would end it.

func containerd(s state) program {
	// A proxy where nobody listens (port 9 is `discard`): pulling a missing image fails at once, and neither a
	// registry nor a name server outside is asked.
	nowhere := "http://" + nodeIP + ":9"
	return program{
		name: "containerd", args: words("--config $config/containerd.toml --log-level warn", s),
		env: []string{"HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere},
	}
}

func etcd(s state) program {
	// Without fsync: the data need not survive the machine, and a laptop's disk is what a test waits for.
	return program{name: "etcd", args: words(`--name node --data-dir $state/etcd --unsafe-no-fsync --log-level warn
		--listen-client-urls https://$node:2379 --advertise-client-urls https://$node:2379
		--listen-peer-urls https://$node:2380 --initial-advertise-peer-urls https://$node:2380
		--initial-cluster node=https://$node:2380
		--client-cert-auth --trusted-ca-file $certs/etcd-ca.crt --cert-file $certs/etcd.crt --key-file $certs/etcd.key
		--peer-client-cert-auth --peer-trusted-ca-file $certs/etcd-ca.crt
		--peer-cert-file $certs/etcd.crt --peer-key-file $certs/etcd.key`, s)}
}

func apiserver(s state) program {
	return program{name: "kube-apiserver", args: words(`--bind-address $node --advertise-address $node --secure-port 6443
		--etcd-servers https://$node:2379 --etcd-cafile $certs/etcd-ca.crt
		--etcd-certfile $certs/etcd.crt --etcd-keyfile $certs/etcd.key
		--client-ca-file $certs/ca.crt --tls-cert-file $certs/server.crt --tls-private-key-file $certs/server.key
		--kubelet-certificate-authority $certs/ca.crt --kubelet-client-certificate $certs/kubelet-client.crt
		--kubelet-client-key $certs/kubelet-client.key --kubelet-preferred-address-types InternalIP
		--service-cluster-ip-range $services --service-account-issuer https://kubernetes.default.svc.$domain
		--service-account-key-file $certs/service-account.key --service-account-signing-key-file $certs/service-account.key
		--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction
		--audit-policy-file $config/audit.yaml --audit-log-path $state/logs/audit.log
		--audit-log-maxsize 50 --audit-log-maxbackup 1
		--allow-privileged --profiling=false`, s)}
}

func controllerManager(s state) program {
	kubeconfig := s.path("config", "kube-controller-manager.kubeconfig")
	return program{name: "kube-controller-manager", args: append(words(`--bind-address $node --leader-elect=false
		--tls-cert-file $certs/server.crt --tls-private-key-file $certs/server.key
		--client-ca-file $certs/ca.crt --root-ca-file $certs/ca.crt
		--cluster-signing-cert-file $certs/ca.crt --cluster-signing-key-file $certs/ca.key
		--service-account-private-key-file $certs/service-account.key --use-service-account-credentials
		--kube-api-qps 200 --kube-api-burst 400 --pvclaimbinder-sync-period 2s --profiling=false`, s),
		"--kubeconfig", kubeconfig, "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)}
}

func scheduler(s state) program {
	kubeconfig := s.path("config", "kube-scheduler.kubeconfig")
	return program{name: "kube-scheduler", args: append(words(`--bind-address $node --leader-elect=false
		--tls-cert-file $certs/server.crt --tls-private-key-file $certs/server.key
		--kube-api-qps 200 --kube-api-burst 400 --profiling=false`, s),
		"--kubeconfig", kubeconfig, "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)}
}

func kubelet(s state) program {
	return program{name: "kubelet", args: append(words(`--config $config/kubelet.yaml --root-dir $state/kubelet
		--kubeconfig $config/kubelet.kubeconfig --node-ip $node`, s), "--hostname-override", nodeName)}
}

func proxy(s state) program {
	return program{name: "kube-proxy", args: words("--config $config/kube-proxy.yaml", s)}
}

func coredns(s state) program {
	return program{name: "coredns", args: words("-conf $config/Corefile", s)}
}

func provisioner(s state) program {
	return program{name: "provisioner", args: []string{"provision"}, env: []string{"DBBACKUP_CLUSTER=" + s.dir}}
}

// programs lists all of them in the order of their start.
func programs(s state) []program {
	return []program{
		containerd(s), etcd(s), apiserver(s), controllerManager(s), scheduler(s), kubelet(s), proxy(s), coredns(s), provisioner(s),
	}
}
