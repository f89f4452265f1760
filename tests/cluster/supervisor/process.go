package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// process is a running program as its pid file tells. The kernel reuses numbers, so the file also holds the
// start time in clock ticks since boot: together they name one process for ever.
type process struct {
	pid   int
	start string
}

// spawn starts a program that outlives us: a session of its own, no terminal, output to a log file.
func spawn(s state, p program) error {
	log, err := os.OpenFile(s.logFile(p.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(s.bin(p.name), p.args...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + s.path("run"),
	}, p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	start, err := startTime(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("%s ended at once; its log is %s", p.name, s.logFile(p.name))
	}
	content := fmt.Sprintf("%d %s\n", cmd.Process.Pid, start)
	if err := os.WriteFile(s.pidFile(p.name), []byte(content), 0o644); err != nil {
		return fmt.Errorf("write the pid file of %s: %w", p.name, err)
	}
	// We are its parent only for as long as we run: collect it if it dies meanwhile, so that it shows as dead.
	go cmd.Wait()
	return nil
}

func spawnAll(s state, programs ...program) error {
	for _, p := range programs {
		if err := spawn(s, p); err != nil {
			return err
		}
	}
	return nil
}

func (s state) pidFile(name string) string { return s.path("run", name+".pid") }

// alive tells whether the process that the pid file names still runs.
func alive(s state, name string) bool {
	content, err := os.ReadFile(s.pidFile(name))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(content))
	if len(fields) != 2 {
		return false
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return false
	}
	start, err := startTime(pid)
	return err == nil && start == fields[1]
}

// startTime reads field 22 of /proc/<pid>/stat; a zombie counts as gone.
func startTime(pid int) (string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The second field is the name in parentheses and may hold spaces: count from the last parenthesis.
	_, rest, found := strings.Cut(string(content[strings.LastIndexByte(string(content), ')'):]), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return "", errors.New("unreadable process state")
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return "", errors.New("the process has ended")
	}
	return fields[19], nil
}

// run executes a short-lived tool and puts what it said into the error.
func run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(errOut.String() + out.String())
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, said)
	}
	return out.String(), nil
}
