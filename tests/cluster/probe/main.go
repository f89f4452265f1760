// Command probe is the self-test's guest: a server to reach, and the few things to try from inside a pod.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// clusterCA is where the kubelet mounts the certificate that the API server answers with.
const clusterCA = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "serve":
		return serve()
	case len(args) == 2 && args[0] == "get":
		return get(args[1])
	case len(args) == 2 && args[0] == "resolve":
		return resolve(args[1])
	case len(args) == 3 && args[0] == "fill":
		return fill(args[1], args[2])
	case len(args) == 2 && args[0] == "eat":
		return eat(args[1])
	default:
		return errors.New("usage: probe serve | get URL | resolve NAME | fill FILE MIB | eat MIB")
	}
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	server := http.Server{Addr: ":8080", ReadHeaderTimeout: 5 * time.Second}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("asked for", r.URL.Path)
		fmt.Fprintln(w, "hello from", host)
	})
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	fmt.Println("serving as user", os.Getuid())
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func get(url string) error {
	client := http.Client{Timeout: 5 * time.Second}
	if authority, err := os.ReadFile(clusterCA); err == nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(authority)
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

// resolve prints the addresses of a name, and how long it took: a slow "no such name" is a failure too.
func resolve(name string) error {
	start := time.Now()
	addresses, err := net.DefaultResolver.LookupHost(context.Background(), name)
	fmt.Printf("%s after %d ms\n", name, time.Since(start).Milliseconds())
	if err != nil {
		return err
	}
	fmt.Println(addresses)
	return nil
}

// fill writes a file of the given size and says how far it came.
func fill(file, mib string) error {
	count, err := strconv.Atoi(mib)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for i := range count {
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			return fmt.Errorf("after %d MiB: %w", i, err)
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	fmt.Println("wrote", count, "MiB")
	return nil
}

// eat uses memory, so that a limit can be seen to kill.
func eat(mib string) error {
	count, err := strconv.Atoi(mib)
	if err != nil {
		return err
	}
	var all [][]byte
	for range count {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = 1
		}
		all = append(all, block)
	}
	fmt.Println("ate", len(all), "MiB")
	return nil
}
