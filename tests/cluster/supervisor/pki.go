package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// authority signs every certificate of the cluster; it is made anew by each `up` and dies with the directory.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

type keyPair struct{ cert, key []byte }

// Nobody renews anything here, and tests may set the clock forward: far longer than any cluster lives.
const certificateLife = 10 * 365 * 24 * time.Hour

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "dbbackup-cluster"},
		NotBefore:    time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(certificateLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back the authority's certificate: %w", err)
	}
	return &authority{cert: cert, key: key, pem: pemBlock("CERTIFICATE", der)}, nil
}

// issue makes a certificate for a user (name, group) that may also serve under the given names and addresses.
func (a *authority) issue(name, group string, hosts ...string) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("make the key of %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return keyPair{}, fmt.Errorf("make a serial number for %s: %w", name, err)
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(certificateLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if group != "" {
		template.Subject.Organization = []string{group}
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("make the certificate of %s: %w", name, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{cert: pemBlock("CERTIFICATE", der), key: keyPEM}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pemBlock("EC PRIVATE KEY", der), nil
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// user is somebody who talks to the apiserver with a kubeconfig of their own, so that RBAC sees who it is.
type user struct{ file, name, group string }

func users(s state) []user {
	return []user{
		{s.kubeconfig(), "admin", "system:masters"},
		{s.path("config", "kube-controller-manager.kubeconfig"), "system:kube-controller-manager", ""},
		{s.path("config", "kube-scheduler.kubeconfig"), "system:kube-scheduler", ""},
		{s.path("config", "kubelet.kubeconfig"), "system:node:" + nodeName, "system:nodes"},
		{s.path("config", "kube-proxy.kubeconfig"), "system:kube-proxy", ""},
		{s.path("config", "coredns.kubeconfig"), "system:coredns", ""},
		{s.path("config", "provisioner.kubeconfig"), "system:local-provisioner", ""},
	}
}

// writeCredentials fills certs/ and writes every kubeconfig.
func writeCredentials(s state) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	// One serving certificate for all programs: all of them listen on the node's address.
	server, err := ca.issue("system:dbbackup-cluster", "", nodeIP, serviceIP, "127.0.0.1", "localhost", nodeName,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc."+clusterDomain)
	if err != nil {
		return err
	}
	kubeletClient, err := ca.issue("kube-apiserver-kubelet-client", "system:masters")
	if err != nil {
		return err
	}
	// etcd trusts an authority of its own: whoever holds a certificate of the cluster must not read past RBAC.
	etcdCA, err := newAuthority()
	if err != nil {
		return err
	}
	etcd, err := etcdCA.issue("etcd", "", nodeIP)
	if err != nil {
		return err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service account key: %w", err)
	}
	signerPEM, err := encodeKey(signer)
	if err != nil {
		return err
	}
	caKey, err := encodeKey(ca.key)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"ca.crt": ca.pem, "ca.key": caKey, "server.crt": server.cert, "server.key": server.key,
		"kubelet-client.crt": kubeletClient.cert, "kubelet-client.key": kubeletClient.key,
		"etcd-ca.crt": etcdCA.pem, "etcd.crt": etcd.cert, "etcd.key": etcd.key, "service-account.key": signerPEM,
	} {
		if err := os.WriteFile(s.path("certs", name), data, 0o600); err != nil {
			return fmt.Errorf("write a certificate: %w", err)
		}
	}
	for _, u := range users(s) {
		pair, err := ca.issue(u.name, u.group)
		if err != nil {
			return err
		}
		if err := writeKubeconfig(u, ca.pem, pair); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(u user, ca []byte, pair keyPair) error {
	out, err := render("kubeconfig.tmpl", map[string]any{
		"CA": ca, "Cert": pair.cert, "Key": pair.key, "User": u.name, "Server": nodeIP,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(u.file, out, 0o600); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", u.name, err)
	}
	return nil
}
