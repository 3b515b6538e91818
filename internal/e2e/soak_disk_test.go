package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"pushcart/internal/testkit"
)

// soakDisk is a disk of a few megabytes for a node's data, in a mount namespace of its own. It stays when the node dies, and goes with
// the test.
type soakDisk struct {
	t     *testing.T
	dir   string // as the node sees it
	enter []string
	view  string // the same folder as the test sees it
}

// soakDiskSize is room for some thousand commands, and for what waits of webhooks.
const soakDiskSize = "8m"

// newSoakDisk makes it. It ends the test where the kernel lets nobody mount anything, which is to be mended there.
func newSoakDisk(t *testing.T) *soakDisk {
	t.Helper()
	d := &soakDisk{t: t, dir: filepath.Join(t.TempDir(), "data")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const mount = `mount -t tmpfs -o size=` + soakDiskSize + `,mode=700 tmpfs "$0" && echo mounted && exec sleep infinity`
	for _, way := range []struct{ unshare, enter []string }{
		{[]string{"-m"}, []string{"-m"}},
		{[]string{"-U", "-r", "-m"}, []string{"-U", "--preserve-credentials", "-m"}},
	} {
		if exec.Command("unshare", append(way.unshare, "true")...).Run() != nil {
			continue
		}
		holder := testkit.Run(t, nil, "unshare", append(way.unshare, "sh", "-c", mount, d.dir)...)
		holder.Log.Wait(t, "mounted")
		d.enter = append(append([]string{"-t", fmt.Sprint(holder.PID())}, way.enter...), "--")
		d.view = fmt.Sprintf("/proc/%d/root%s", holder.PID(), d.dir)
		return d
	}
	t.Fatal("no disk can be mounted for this test: unshare -m is refused, as root and in a user namespace")
	return nil
}

// run starts the program with its data there.
func (d *soakDisk) run(config string) *testkit.Server {
	d.t.Helper()
	env := append([]string{"PUSHCART_DATA_DIRECTORY=" + d.dir}, testkit.Doors...)
	args := append(append([]string(nil), d.enter...), testkit.Build(d.t), "serve", "--config", config)
	return testkit.AwaitServer(d.t, testkit.Run(d.t, env, "nsenter", args...))
}

// fill takes all the room that there is.
func (d *soakDisk) fill() error {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for page := bytes.Repeat([]byte{1}, 4096); ; {
		if _, err := f.Write(page); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// free gives it back.
func (d *soakDisk) free() error { return os.Remove(d.ballast()) }

func (d *soakDisk) ballast() string { return filepath.Join(d.view, "ballast") }
