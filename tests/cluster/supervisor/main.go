// Command cluster runs a real single-node Kubernetes on a bare machine, without a container registry.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

const usage = `usage: cluster COMMAND

  up       start the cluster, or find it healthy; replaces one that is not
  down     end it and remove every trace
  status   what runs; exit code 0 if healthy
  env      print the line that points kubectl at it
  import ARCHIVE...               load OCI archives that are not loaded yet
  image NAME BINARY ARCHIVE       wrap a static binary as an OCI archive
  provision                       (internal) make volumes for claims

DBBACKUP_CLUSTER is the state directory (default ` + defaultStateDir + `).
Call it through the scripts in tests/cluster, which build what is needed first.
`

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	s, err := stateFromEnv()
	if err != nil {
		return err
	}
	command, rest := args[0], args[1:]
	switch command {
	case "up":
		return locked(s, func() error { return upCommand(s, rest) })
	case "down":
		return locked(s, func() error { return downCommand(s) })
	case "status":
		return status(s)
	case "env":
		fmt.Printf("export KUBECONFIG=%s\n", s.kubeconfig())
		return nil
	case "import":
		return importArchives(s, rest)
	case "image":
		if len(rest) != 3 {
			return fmt.Errorf("image needs NAME BINARY ARCHIVE")
		}
		return writeImage(rest[0], rest[1], rest[2])
	case "provision":
		return provision(s)
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
		return nil
	}
}

func upCommand(s state, args []string) error {
	var b binaries
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.StringVar(&b.components, "components", "", "the multi-call binary")
	flags.StringVar(&b.coredns, "coredns", "", "CoreDNS")
	flags.StringVar(&b.pause, "pause", "", "the binary of the pause image")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.components == "" || b.coredns == "" || b.pause == "" {
		return fmt.Errorf("up needs --components, --coredns and --pause: call tests/cluster/up, which builds them")
	}
	return up(s, b)
}

func downCommand(s state) error {
	r := reporter{time.Now()}
	if len(leftovers(s)) == 0 {
		r.say("there is no cluster, and nothing of one")
		return nil
	}
	return down(s, r)
}

// locked keeps a second `up` or `down` waiting, and refuses a second cluster: the addresses are fixed, so a
// machine holds one. The lock file remembers whose state directory it was.
func locked(s state, action func() error) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("a Kubernetes node needs root: run it with sudo")
	}
	f, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("open the lock: %w", err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("take the lock %s: %w", lockFile, err)
	}
	content, err := os.ReadFile(lockFile)
	if err != nil {
		return fmt.Errorf("read the lock: %w", err)
	}
	if other := strings.TrimSpace(string(content)); other != "" && other != s.dir {
		if _, err := os.Stat(other); err == nil {
			return fmt.Errorf("this machine has a cluster in %s: end it first with DBBACKUP_CLUSTER=%s tests/cluster/down", other, other)
		}
	}
	if err := os.WriteFile(lockFile, []byte(s.dir+"\n"), 0o644); err != nil {
		return fmt.Errorf("write the lock: %w", err)
	}
	defer func() {
		// No cluster, no owner. The file itself stays: removing a lock that others may wait for would break it.
		if _, err := os.Stat(s.dir); os.IsNotExist(err) {
			_ = os.Truncate(lockFile, 0)
		}
	}()
	return action()
}
