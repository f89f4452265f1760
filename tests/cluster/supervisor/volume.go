package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"syscall"
)

// A volume is <state>/volumes/<name>.img, an ext4 image of the requested size, mounted at <state>/volumes/<name>.
// So "disk full" is real, fsync is real, and the pages a pod writes are page cache, which its memory limit can take
// back. On tmpfs they would count against the limit: a database would be killed for the size of its files.

// ext4 needs some room for itself; the smallest image that still holds a useful file.
const smallestVolume = 4 << 20

func (s state) volumeDir(name string) string   { return s.path("volumes", name) }
func (s state) volumeImage(name string) string { return s.path("volumes", name+".img") }

func createVolume(s state, name string, size int64) error {
	dir := s.volumeDir(name)
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return fmt.Errorf("create the directory of volume %s: %w", name, err)
	}
	if mounts, err := mountPoints(dir); err != nil || len(mounts) > 0 {
		return err
	}
	if err := mountImage(s, name, max(size, smallestVolume)); err != nil {
		// Containers without loop devices: the limit stays real, though the files now live in memory.
		log.Printf("volume %s goes to tmpfs: %v", name, err)
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size="+strconv.FormatInt(size, 10)); err != nil {
			return fmt.Errorf("mount a tmpfs for volume %s: %w", name, err)
		}
	}
	// The kubelet applies fsGroup to no hostPath volume, so anybody may write.
	if err := os.Chmod(dir, 0o777); err != nil {
		return fmt.Errorf("open volume %s for all users: %w", name, err)
	}
	return nil
}

func mountImage(s state, name string, size int64) error {
	image := s.volumeImage(name)
	f, err := os.OpenFile(image, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("create the image: %w", err)
	}
	err = errors.Join(f.Truncate(size), f.Close())
	if err != nil {
		return fmt.Errorf("size the image: %w", err)
	}
	// No journal: after a crash the volume is thrown away. No reserve for root: containers are not root.
	// An inode per 16 KiB is the default for large disks; ext4 would pick far more for small ones.
	if _, err := run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0", "-i", "16384", "-E", "lazy_itable_init=1,nodiscard", image); err != nil {
		return fmt.Errorf("format the image: %w", err)
	}
	// mount(8) marks the loop device to be freed with the mount, so nothing but the mount can be left behind.
	if _, err := run("mount", "-o", "loop,nosuid,nodev", image, s.volumeDir(name)); err != nil {
		return fmt.Errorf("mount the image: %w", err)
	}
	// initdb refuses a directory that is not empty.
	if err := os.Remove(s.path("volumes", name, "lost+found")); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("empty the volume: %w", err)
	}
	return nil
}

func removeVolume(s state, name string) error {
	if err := unmountAll(s.volumeDir(name)); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(s.volumeDir(name)), os.RemoveAll(s.volumeImage(name))); err != nil {
		return fmt.Errorf("remove volume %s: %w", name, err)
	}
	return nil
}

// volumesOnDisk lists the names of all volumes that exist.
func volumesOnDisk(s state) ([]string, error) {
	entries, err := os.ReadDir(s.path("volumes"))
	if err != nil {
		return nil, fmt.Errorf("list the volumes: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
