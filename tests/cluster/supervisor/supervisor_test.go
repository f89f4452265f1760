package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnImageArchiveIsReadBackAndIsReproducible(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "binary")
	if err := os.WriteFile(binary, []byte("anything"), 0o755); err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	for i := range archives {
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := writeImage("db-backup.test/thing:1", binary, file); err != nil {
			t.Fatal(err)
		}
		images, err := archiveImages(file)
		if err != nil || len(images) != 1 || images["db-backup.test/thing:1"] == "" {
			t.Fatalf("got %v, %v", images, err)
		}
		if archives[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if string(archives[0]) != string(archives[1]) {
		t.Error("the same binary gave different archives, so each import would be repeated")
	}
}

// A pid file outlives its process, and the kernel gives the number to somebody else.
func TestAReusedPidIsNotTheProcess(t *testing.T) {
	s := state{dir: t.TempDir()}
	if err := os.Mkdir(s.path("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	start, err := startTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, content string
		want          bool
	}{
		{"the process itself", fmt.Sprintf("%d %s", os.Getpid(), start), true},
		{"its number with another start", fmt.Sprintf("%d %s1", os.Getpid(), start), false},
		{"a process that has ended", fmt.Sprintf("%d %s", dead.Process.Pid, start), false},
		{"a file cut short", fmt.Sprint(os.Getpid()), false},
		{"an empty file", "", false},
	} {
		if err := os.WriteFile(s.pidFile("p"), []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := alive(s, "p"); got != c.want {
			t.Errorf("%s: alive is %v", c.what, got)
		}
	}
	if alive(s, "never started") {
		t.Error("a missing pid file counts as alive")
	}
}

func TestAStateDirectoryThatMustNotBeDeletedIsRefused(t *testing.T) {
	for _, dir := range []string{"/", "/var", "/root/", "/x/" + strings.Repeat("y", 60)} {
		t.Setenv("DBBACKUP_CLUSTER", dir)
		if s, err := stateFromEnv(); err == nil {
			t.Errorf("%q is taken as %s", dir, s.dir)
		}
	}
}
