package journal_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"pushcart/overlay/journal"
	"pushcart/overlay/journal/journaltest"
)

// failure is one way in which an operation of the file system fails.
type failure struct {
	name string
	err  error
}

var failures = []failure{
	{"I/O error", syscall.EIO},
	{"disk full", syscall.ENOSPC},
	{"short write", &journaltest.Short{N: 13, Err: syscall.ENOSPC}},
	{"whole write reported as failed", &journaltest.Short{N: 1 << 20, Err: syscall.EIO}},
	{"done, but reported as failed", &journaltest.Late{Err: syscall.EIO}},
}

// once lets the nth operation fail, all after it too if it is to stay, and tells whether it came to that.
func once(m *journaltest.Memory, n int, stay bool, err error) (met *bool) {
	met = new(bool)
	m.Fail(func(journaltest.Op, string) error {
		if n--; n == -1 || n < 0 && stay {
			*met = true
			return err
		}
		return nil
	})
	return met
}

// diary is what a caller knows of a journal: what was acknowledged, and what may be there besides.
type diary struct {
	j       *journal.Journal
	sure    []string // acknowledged, in order
	perhaps bool     // the last append failed and nobody knows whether it is there
	last    string
}

func (d *diary) append(r ...string) error {
	err := d.j.Append(raw(r)...)
	switch {
	case err == nil:
		d.sure = append(d.sure, r...)
		d.perhaps = false
	case !errors.Is(err, journal.ErrRewrite):
		d.perhaps, d.last = d.j.Broken(), r[0]
	}
	return err
}

func (d *diary) rewrite() error {
	all := slices.Clone(d.sure)
	err := d.j.Rewrite(raw(all))
	if err == nil {
		d.perhaps = false
	}
	return err
}

// check opens what a crash leaves and holds it against the diary.
func (d *diary) check(t *testing.T, m *journaltest.Memory, what string) {
	t.Helper()
	for _, loss := range journaltest.Losses {
		j, records, err := journal.Open(m.Crash(loss), file, true)
		if err != nil {
			t.Errorf("%s, %s: %v", what, loss, err)
			continue
		}
		j.Close()
		got := texts(records)
		if n := len(d.sure); d.perhaps && len(got) > n && got[n] == d.last {
			got = got[:n]
		}
		if !slices.Equal(got, d.sure) {
			t.Errorf("%s, %s: the journal has %q, acknowledged was %q", what, loss, got, d.sure)
		}
	}
}

// TestEachStepFails lets each operation of a journal's life fail, in each way, once: nothing acknowledged is lost, nothing
// refused comes back, and the journal goes on.
func TestEachStepFails(t *testing.T) {
	t.Parallel()
	for _, f := range failures {
		for n := 0; ; n++ {
			m := journaltest.New()
			met := once(m, n, false, f.err)
			what := fmt.Sprintf("%s at operation %d", f.name, n)
			j, _, err := journal.Open(m, file, true)
			if err != nil {
				if j, _, err = journal.Open(m, file, true); err != nil {
					t.Fatalf("%s: opening again: %v", what, err)
				}
			}
			d := &diary{j: j}
			for step := range 6 {
				act := func() error { return d.append(fmt.Sprint("record ", step), fmt.Sprint("another ", step)) }
				if step%3 == 2 {
					act = d.rewrite
				}
				if err := act(); err != nil {
					if full := errors.Is(f.err, syscall.ENOSPC) || f.name == "short write"; full != journal.Full(err) {
						t.Errorf("%s: %v; is the disk full? %v", what, err, journal.Full(err))
					}
					d.check(t, m, what)
					if j.Broken() {
						if err := d.append("too early"); !errors.Is(err, journal.ErrRewrite) {
							t.Errorf("%s: append to a broken journal: %v", what, err)
						}
						if err := d.rewrite(); err != nil {
							t.Errorf("%s: %v", what, err)
						}
					}
					if step%3 == 2 { // it goes on with the old file, or with the new one, whichever has the name
						if err := d.append("after a failed rewriting"); err != nil {
							t.Errorf("%s: %v", what, err)
						}
						d.check(t, m, what)
					}
					if err := act(); err != nil {
						t.Errorf("%s: tried again: %v", what, err)
					}
				}
				d.check(t, m, what)
			}
			if n := len(d.sure); j.Broken() || n != 8 && n != 9 {
				t.Errorf("%s: broken %v with %q", what, j.Broken(), d.sure)
			}
			j.Close()
			if !*met {
				break
			}
		}
	}
}

// TestCrashAfterEachStep cuts the file system off for good at each operation.
func TestCrashAfterEachStep(t *testing.T) {
	t.Parallel()
	for n := 0; ; n++ {
		m := journaltest.New()
		met := once(m, n, true, syscall.EIO)
		d := &diary{}
		var err error
		if d.j, _, err = journal.Open(m, file, true); err == nil {
			for step := range 6 {
				if step == 3 {
					err = d.rewrite()
				} else {
					err = d.append(fmt.Sprint("record ", step))
				}
				if err != nil {
					break
				}
			}
		}
		d.check(t, m, fmt.Sprintf("crash at operation %d", n))
		if !*met {
			break
		}
	}
}

// TestDiskStaysFull: as long as there is no room, each append is refused and what was there stays; with room again, the
// journal goes on as if nothing had been.
func TestDiskStaysFull(t *testing.T) {
	t.Parallel()
	m := journaltest.New()
	j, _ := open(t, m, file)
	d := &diary{j: j}
	d.append("before")
	for n := range 40 {
		m.Fail(func(op journaltest.Op, _ string) error {
			if op == journaltest.Write {
				return &journaltest.Short{N: n, Err: syscall.ENOSPC}
			}
			return nil
		})
		if err := d.append("refused, and so is", "this"); !journal.Full(err) || j.Broken() {
			t.Fatalf("%v, broken %v", err, j.Broken())
		}
		if err := d.rewrite(); !journal.Full(err) || j.Broken() {
			t.Fatalf("%v, broken %v", err, j.Broken())
		}
		d.check(t, m, fmt.Sprintf("with room for %d bytes", n))
	}
	m.Fail(nil)
	if err := d.append("after"); err != nil {
		t.Fatal(err)
	}
	d.check(t, m, "with room again")
	if all := m.Files(); len(all) != 1 {
		t.Errorf("left behind: %v", all)
	}
}

// TestFailedFlush: after a failed fsync nothing is appended until the journal is written anew, even if the next fsync
// says that all is well.
func TestFailedFlush(t *testing.T) {
	t.Parallel()
	m := journaltest.New()
	j, _ := open(t, m, file)
	d := &diary{j: j}
	d.append("before")
	failed := false
	m.Fail(func(op journaltest.Op, _ string) error {
		if op != journaltest.Sync || failed {
			return nil
		}
		failed = true
		return syscall.EIO
	})
	if err := d.append("lost"); !errors.Is(err, syscall.EIO) || !j.Broken() {
		t.Fatalf("%v, broken %v", err, j.Broken())
	}
	for range 3 {
		if err := d.append("too early"); !errors.Is(err, journal.ErrRewrite) {
			t.Fatal(err)
		}
	}
	if err := d.rewrite(); err != nil || j.Broken() {
		t.Fatalf("%v, broken %v", err, j.Broken())
	}
	d.append("after")
	d.check(t, m, "after a failed flush")
	wants(t, d.sure, "before", "after")
}

// TestSetAsideFails: a damaged journal is not cut before its copy is on the disk.
func TestSetAsideFails(t *testing.T) {
	t.Parallel()
	damaged := []byte(layout)
	damaged[21] ^= 1
	for _, f := range failures {
		for n := 0; ; n++ {
			m := journaltest.New()
			m.Put(file, damaged)
			met := once(m, n, false, f.err)
			j, _, err := journal.Open(m, file, true)
			if err == nil {
				j.Close()
			}
			for _, loss := range journaltest.Losses {
				after := m.Crash(loss)
				copied := string(after.Bytes(file+".damaged-1")) == string(damaged)
				if !copied && string(after.Bytes(file)) != string(damaged) {
					t.Errorf("%s at operation %d, %s: the damaged bytes are lost", f.name, n, loss)
				}
			}
			if !*met {
				break
			}
		}
	}
}

// TestMain lets the test binary be the program that TestKilled kills.
func TestMain(m *testing.M) {
	if name := os.Getenv("JOURNAL_TEST_WRITE"); name != "" {
		writeForEver(name)
	}
	os.Exit(m.Run())
}

// writeForEver appends numbers, in groups of three, and prints each that was acknowledged.
func writeForEver(name string) {
	j, records, err := journal.Open(journal.Disk{}, name, true)
	for n := len(records); err == nil; n += 3 {
		if err = j.Append(number(n), number(n+1), number(n+2)); err == nil {
			fmt.Println(n + 3)
		}
		if err == nil && n%300 == 0 {
			var all [][]byte
			for i := range n + 3 {
				all = append(all, number(i))
			}
			err = j.Rewrite(all)
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func number(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }

// TestKilled kills a process that writes, again and again: what it said to have written is there.
func TestKilled(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "show.journal")
	kept := 0
	for round := range 8 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "JOURNAL_TEST_WRITE="+name)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines, acked := bufio.NewScanner(out), 0
		for n := 0; n < 20+30*round && lines.Scan(); n++ {
			if _, err := fmt.Sscan(lines.Text(), &acked); err != nil {
				t.Errorf("the writer says %q", lines.Text())
			}
		}
		if round == 0 {
			if _, _, err := journal.Open(journal.Disk{}, name, true); !errors.Is(err, journal.ErrInUse) {
				t.Errorf("opened while another process writes: %v", err)
			}
		}
		c.Process.Kill()
		for lines.Scan() { // what it wrote before it died
			fmt.Sscan(lines.Text(), &acked)
		}
		c.Wait()
		j, records, err := journal.Open(journal.Disk{}, name, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) < acked || acked < kept || j.Recovery().Aside != "" {
			t.Errorf("round %d: %d records, %d acknowledged, %+v", round, len(records), acked, j.Recovery())
		}
		for i, r := range records {
			if string(r) != string(number(i)) {
				t.Fatalf("record %d is %q", i, r)
			}
		}
		kept = len(records)
		j.Close()
	}
}
