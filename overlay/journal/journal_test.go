package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pushcart/overlay/journal"
	"pushcart/overlay/journal/journaltest"
)

const file = "data/cards/show.journal"

// open opens a journal that must open, and returns its records as text.
func open(t testing.TB, fsys journal.FS, name string) (*journal.Journal, []string) {
	t.Helper()
	j, records, err := journal.Open(fsys, name, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, texts(records)
}

func texts(records [][]byte) []string {
	var out []string
	for _, r := range records {
		out = append(out, string(r))
	}
	return out
}

func add(t testing.TB, j *journal.Journal, records ...string) {
	t.Helper()
	if err := j.Append(raw(records)...); err != nil {
		t.Fatal(err)
	}
}

func raw(records []string) [][]byte {
	var out [][]byte
	for _, r := range records {
		out = append(out, []byte(r))
	}
	return out
}

func wants(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the journal has %q, want %q", got, want)
	}
}

// renew has a journal whose file is damaged written anew, after which it is like any other.
func renew(t testing.TB, j *journal.Journal, records [][]byte) {
	t.Helper()
	if j.Broken() != (j.Recovery().Aside != "") {
		t.Errorf("broken %v: %+v", j.Broken(), j.Recovery())
	}
	if !j.Broken() {
		return
	}
	if err := j.Append([]byte("too early")); !errors.Is(err, journal.ErrRewrite) {
		t.Errorf("append to a damaged file: %v", err)
	}
	if err := j.Rewrite(records); err != nil {
		t.Fatal(err)
	}
}

// layout is a journal with the records "one" and "a card", byte by byte.
const layout = "pushcart\x01\x00\x00\x00" + "\x03\x00\x00\x00\xa6\x0e\xcb\x49one" + "\x06\x00\x00\x00\x8d\x5c\x19\x8fa card"

func TestDisk(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "data", "cards", "show.journal")
	if _, _, err := journal.Open(journal.Disk{}, name, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a journal that is not there: %v", err)
	}
	if there, err := (journal.Disk{}).Exists(name); there || err != nil {
		t.Errorf("looking for a journal made one: %v, %v", there, err)
	}
	j, got := open(t, journal.Disk{}, name)
	wants(t, got)
	add(t, j, "one", "a card")
	if j.Size() != int64(len(layout)) || j.Name() != name || j.Broken() {
		t.Errorf("size %d, name %s, broken %v", j.Size(), j.Name(), j.Broken())
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != layout {
		t.Errorf("the file is\n%q, want\n%q (%v)", b, layout, err)
	}
	for path, want := range map[string]os.FileMode{name: 0o600, filepath.Dir(name): 0o700, filepath.Dir(filepath.Dir(name)): 0o700} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v (%v)", path, st.Mode().Perm(), want, err)
		}
	}
	if err := j.Rewrite(raw([]string{"both"})); err != nil {
		t.Fatal(err)
	}
	add(t, j, "three")
	if _, _, err := journal.Open(journal.Disk{}, name, true); !errors.Is(err, journal.ErrInUse) || !strings.Contains(err.Error(), name) {
		t.Errorf("opened twice: %v", err)
	}
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Error(err)
	}
	for _, err := range []error{j.Append([]byte("x")), j.Rewrite(nil)} {
		if !errors.Is(err, journal.ErrClosed) {
			t.Errorf("use after Close: %v", err)
		}
	}
	j, got = open(t, journal.Disk{}, name)
	wants(t, got, "both", "three")
	if j.Recovery() != (journal.Recovery{}) {
		t.Errorf("a whole journal was mended: %+v", j.Recovery())
	}
	if left, _ := os.ReadDir(filepath.Dir(name)); len(left) != 1 {
		t.Errorf("the folder has %v", left)
	}
}

func TestDiskRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := journal.Open(journal.Disk{}, filepath.Join(dir, "file", "x.journal"), true); err == nil {
		t.Error("a journal was made in a folder that is a file")
	}
	j, _ := open(t, journal.Disk{}, filepath.Join(dir, "x.journal"))
	for _, r := range [][]byte{nil, make([]byte, journal.MaxRecord+1)} {
		if err := j.Append([]byte("before"), r); !errors.Is(err, journal.ErrTooLarge) {
			t.Errorf("a record of %d bytes: %v", len(r), err)
		}
		if err := j.Rewrite([][]byte{r}); !errors.Is(err, journal.ErrTooLarge) {
			t.Errorf("rewritten with a record of %d bytes: %v", len(r), err)
		}
	}
	if err := j.Append(); err != nil || j.Size() != 12 {
		t.Errorf("nothing to append: %v, size %d", err, j.Size())
	}
	largest := make([]byte, journal.MaxRecord)
	if err := j.Append(largest); err != nil {
		t.Fatal(err)
	}
	j.Close()
	if _, got := open(t, journal.Disk{}, j.Name()); len(got) != 1 || len(got[0]) != journal.MaxRecord {
		t.Error("the largest record did not come back")
	}
}

// TestRewriteKeepsTheLock: whoever opened the old file in the moment before it was replaced does not get to use it.
func TestRewriteKeepsTheLock(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "show.journal")
	first, _ := open(t, journal.Disk{}, name)
	add(t, first, "old")
	slow := slowLock{before: func() {
		if err := first.Rewrite(raw([]string{"new"})); err != nil {
			t.Error(err)
		}
	}}
	if _, _, err := journal.Open(&slow, name, true); !errors.Is(err, journal.ErrInUse) {
		t.Errorf("a second opening during a rewriting: %v", err)
	}
	first.Close()
	slow.before = nil
	_, got := open(t, &slow, name)
	wants(t, got, "new")
}

// slowLock does something else between opening a file and locking it, once.
type slowLock struct {
	journal.Disk
	before func()
}

type slowFile struct {
	journal.File
	fs *slowLock
}

func (s *slowLock) Open(name string, create bool) (journal.File, error) {
	f, err := s.Disk.Open(name, create)
	return &slowFile{f, s}, err
}

func (f *slowFile) Lock() error {
	if do := f.fs.before; do != nil {
		f.fs.before = nil
		do()
	}
	return f.File.Lock()
}

// TestCutAtEachByte: whatever length a crash leaves, the whole records are there, and the journal goes on.
func TestCutAtEachByte(t *testing.T) {
	t.Parallel()
	m := journaltest.New()
	j, _ := open(t, m, file)
	var want []string
	ends := []int64{j.Size()}
	for n := range 12 {
		r := strings.Repeat(fmt.Sprint(n%10), 1+n*n)
		want = append(want, r)
		add(t, j, r)
		ends = append(ends, j.Size())
	}
	whole := m.Bytes(file)
	for n := range len(whole) + 1 {
		m := journaltest.New()
		m.Put(file, whole[:n])
		j, got := open(t, m, file)
		records := 0
		for records < len(want) && ends[records+1] <= int64(n) {
			records++
		}
		wants(t, got, want[:records]...)
		if r := j.Recovery(); r.Aside != "" || r.Torn != max(int64(n)-ends[records], 0) && n >= 12 {
			t.Errorf("cut at %d: %+v", n, r)
		}
		add(t, j, "next")
		j.Close()
		for _, loss := range journaltest.Losses {
			_, got = open(t, m.Crash(loss), file)
			wants(t, got, append(slices.Clone(want[:records]), "next")...)
		}
	}
}

// TestEachByteDamaged: a byte that changed on the disk costs what stands behind it and nothing before, and the damaged
// file is kept, unless it cannot be told from an append that was cut short.
func TestEachByteDamaged(t *testing.T) {
	t.Parallel()
	m := journaltest.New()
	j, _ := open(t, m, file)
	want := []string{"one", "two and more", strings.Repeat("three", 20), "four"}
	var ends []int64
	for _, r := range want {
		ends = append(ends, j.Size())
		add(t, j, r)
	}
	whole := m.Bytes(file)
	for n := range whole {
		damaged := bytes.Clone(whole)
		damaged[n] ^= 0x5a
		m := journaltest.New()
		m.Put(file, damaged)
		j, records, err := journal.Open(m, file, true)
		if n >= 8 && n < 12 {
			if !errors.Is(err, journal.ErrVersion) || !bytes.Equal(m.Bytes(file), damaged) {
				t.Errorf("damage at %d: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		good := 0
		for good < len(want) && (n < 12 || int64(n) >= ends[good]+8+int64(len(want[good]))) {
			good++
		}
		wants(t, texts(records), want[:good]...)
		rec := j.Recovery()
		switch {
		case rec.Aside != "":
			if rec.Aside != file+".damaged-1" || !bytes.Equal(m.Bytes(rec.Aside), damaged) {
				t.Errorf("damage at %d: set aside as %q", n, rec.Aside)
			}
		case rec.Torn == 0 || int64(n) < ends[3]:
			t.Errorf("damage at %d was passed over: %+v", n, rec)
		}
		renew(t, j, records)
		add(t, j, "next")
		j.Close()
		_, got := open(t, m.Crash(journaltest.PowerLost), file)
		wants(t, got, append(slices.Clone(want[:good]), "next")...)
	}
}

// TestUnwrittenBlocks: zeros at the end are room that the file system made and never filled.
func TestUnwrittenBlocks(t *testing.T) {
	t.Parallel()
	m := journaltest.New()
	m.Put(file, append([]byte(layout), make([]byte, 4096)...))
	j, got := open(t, m, file)
	wants(t, got, "one", "a card")
	if j.Recovery() != (journal.Recovery{Torn: 4096}) {
		t.Errorf("%+v", j.Recovery())
	}
	if string(m.Bytes(file)) != layout {
		t.Error("the zeros are still there")
	}
}

// TestDamagedFilesAreBounded: each damaged file gets a name of its own, up to a point.
func TestDamagedFilesAreBounded(t *testing.T) {
	t.Parallel()
	m := journaltest.New()
	for n := range 25 {
		m.Put(file, fmt.Appendf(nil, "%s and then %d", layout, n))
		for range 3 { // opened again before it is written anew, the same copy serves
			j, got := open(t, m, file)
			wants(t, got, "one", "a card")
			if want := fmt.Sprintf("%s.damaged-%d", file, min(n+1, 20)); j.Recovery().Aside != want {
				t.Errorf("damage %d: kept as %q, want %q", n, j.Recovery().Aside, want)
			}
			j.Close()
		}
	}
	if all := m.Files(); len(all) != 21 {
		t.Errorf("there are %d files", len(all))
	}
}

func TestOtherFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"pushcart\x02\x00\x00\x00":            journal.ErrVersion,
		"pushcart\x02\x00\x00\x00and records": journal.ErrVersion,
		"pushcart\x00\x00\x00\x00":            nil, // a header of which the end was not written
		"\x00\x00\x00\x00":                    nil,
		"":                                    nil,
	} {
		m := journaltest.New()
		m.Put(file, []byte(text))
		if _, _, err := journal.Open(m, file, true); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
		if want != nil && string(m.Bytes(file)) != text {
			t.Errorf("%q was changed", text)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(layout))
	f.Add([]byte(layout)[:30])
	f.Add([]byte(layout + "\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte(layout + "\x05\x00\x00\x00\x00\x00\x00\x00fives"))
	f.Add([]byte("pushcart\x02\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := journaltest.New()
		m.Put(file, b)
		j, records, err := journal.Open(m, file, true)
		if err != nil {
			if !errors.Is(err, journal.ErrVersion) || !bytes.Equal(m.Bytes(file), b) {
				t.Fatal(err)
			}
			return
		}
		if rec := j.Recovery(); rec.Aside != "" && !bytes.Equal(m.Bytes(rec.Aside), b) {
			t.Error("what was set aside is not the file")
		}
		renew(t, j, records)
		add(t, j, "next")
		j.Close()
		j, again, err := journal.Open(m.Crash(journaltest.PowerLost), file, false)
		if err != nil || j.Recovery() != (journal.Recovery{}) {
			t.Fatalf("opened again: %v", err)
		}
		wants(t, texts(again), append(texts(records), "next")...)
	})
}

func BenchmarkAppend(b *testing.B) {
	record := bytes.Repeat([]byte("card"), 250)
	for name, fsys := range map[string]journal.FS{"memory": journaltest.New(), "disk": journal.Disk{}} {
		b.Run(name, func(b *testing.B) {
			j, _ := open(b, fsys, filepath.Join(b.TempDir(), "show.journal"))
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				if err := j.Append(record); err != nil {
					b.Fatal(err)
				}
				if j.Size() > 1<<24 {
					if err := j.Rewrite(nil); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
