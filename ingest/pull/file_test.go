package pull

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKept: what was added is there after a restart, for nobody else to read.
func TestKept(t *testing.T) {
	t.Parallel()
	name := fileIn(t)
	r := newRig(t, name)
	r.Configure([]Source{always("fixed")})
	for _, s := range []Source{onDemand("b"), always("a"), always("c")} {
		if _, _, err := r.Put(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Remove("c"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	again := newRig(t, name)
	list := again.List()
	if len(list) != 2 || list[0].Stream != "a" || !list[1].OnDemand || list[1].Configured {
		t.Fatalf("%+v", list)
	}
	if s := again.made["b"]; s != onDemand("b") {
		t.Errorf("%s has another URL now", s)
	}
	if log := again.log.String(); log != "" {
		t.Errorf("it says %s", log)
	}
}

// TestCrashWhileWriting: what a crash leaves beside the file is no harm, whatever it is.
func TestCrashWhileWriting(t *testing.T) {
	t.Parallel()
	name := fileIn(t)
	r := newRig(t, name)
	if _, _, err := r.Put(always("a")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".new", []byte(`{"sources":[{"str`), 0o644); err != nil {
		t.Fatal(err)
	}
	r = newRig(t, name)
	if list := r.List(); len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	if _, _, err := r.Put(always("b")); err != nil {
		t.Fatal(err)
	}
	if list := newRig(t, name).List(); len(list) != 2 {
		t.Errorf("%+v", list)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(name + ".*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDamagedFile: the node starts with what can be used, says what is wrong without its secrets, and keeps the file.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	const good = `{"stream":"a","url":"rtsp://u:secret@camera.example/"}`
	for what, tt := range map[string]struct {
		text string
		want int
	}{
		"nothing":         {"", 0},
		"zeros":           {strings.Repeat("\x00", 200), 0},
		"the first half":  {`{"sources":[{"stream":"a","url":"rtsp://u:secret@`, 0},
		"another thing":   {`["secret"]`, 0},
		"too large":       {`{"sources":[]}` + strings.Repeat(" ", maxFile), 0},
		"a wrong address": {`{"sources":[` + good + `,{"stream":"b","url":"rtsp://u:secret@camera.example:x/"}]}`, 1},
		"one twice":       {`{"sources":[` + good + `,` + good + `]}`, 1},
		"a wrong name":    {`{"sources":[` + good + `,{"stream":"../b","url":"rtsp://camera.example/"}]}`, 1},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			name := fileIn(t)
			for n, aside := range []string{".damaged-1", ".damaged-2"} {
				if err := os.WriteFile(name, []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
				r := newRig(t, name)
				if list := r.List(); len(list) != tt.want {
					t.Errorf("%+v", list)
				}
				if log := r.log.String(); !strings.Contains(log, "DAMAGED") || !strings.Contains(log, name+aside) || strings.Contains(log, "secret") {
					t.Errorf("it says %s", log)
				}
				if kept, err := os.ReadFile(name + aside); err != nil || string(kept) != tt.text {
					t.Errorf("time %d: kept is %q, %v", n+1, kept, err)
				}
				if _, _, err := r.Put(always("new")); err != nil {
					t.Error(err)
				}
				next := newRig(t, name)
				if list := next.List(); len(list) != tt.want+1 || next.log.String() != "" {
					t.Errorf("afterwards: %+v, %s", list, next.log)
				}
			}
		})
	}
}

// TestUnusableFile: what cannot be read is not written over, and what cannot be written changes nothing.
func TestUnusableFile(t *testing.T) {
	t.Parallel()
	var e *Error
	name := fileIn(t)
	if err := os.MkdirAll(filepath.Join(name, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, name)
	if !strings.Contains(r.log.String(), "CANNOT BE READ") {
		t.Errorf("it says %s", r.log)
	}
	if _, _, err := r.Put(always("a")); !errors.As(err, &e) || e.Reason != ReasonStorage || len(r.List()) != 0 {
		t.Errorf("%v, %+v", err, r.List())
	}

	name = fileIn(t)
	r = newRig(t, name)
	if _, _, err := r.Put(always("a")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(name+".new", "x"), 0o700); err != nil { // in the way of writing
		t.Fatal(err)
	}
	if _, _, err := r.Put(always("b")); !errors.As(err, &e) || e.Reason != ReasonStorage || len(r.List()) != 1 {
		t.Errorf("%v, %+v", err, r.List())
	}
	if err := r.Remove("a"); !errors.As(err, &e) || e.Reason != ReasonStorage || len(r.List()) != 1 {
		t.Errorf("%v, %+v", err, r.List())
	}

	name = fileIn(t)
	r = newRig(t, name)
	if err := os.MkdirAll(filepath.Join(name, "x"), 0o700); err != nil { // in the way of renaming
		t.Fatal(err)
	}
	if _, _, err := r.Put(always("b")); !errors.As(err, &e) || e.Reason != ReasonStorage || len(r.List()) != 0 {
		t.Errorf("%v, %+v", err, r.List())
	}
	if _, err := os.Stat(name + ".new"); err == nil {
		t.Error("the half way is left behind")
	}
}

// FuzzFile: whatever the file holds, what comes out of it can be used.
func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"sources":[{"stream":"a","url":"rtsp://u:p@h/","on_demand":true,"transport":"tcp","redirects":true}]}`))
	f.Add([]byte(`{"sources":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := decode(text)
		if err != nil && !errors.Is(err, errDamaged) {
			t.Fatal(err)
		}
		for _, s := range list {
			if err := Validate(s); err != nil {
				t.Fatal(err)
			}
		}
	})
}
