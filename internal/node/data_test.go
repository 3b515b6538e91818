package node

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pushcart/internal/auth"
	"pushcart/overlay/timed"
)

// folder is a data folder, and what was logged about it.
type folder struct {
	dataFolder
	t   *testing.T
	log bytes.Buffer
}

func newFolder(t *testing.T, dir string) *folder {
	f := &folder{t: t}
	f.dataFolder = dataFolder{dir: dir, log: slog.New(slog.NewTextHandler(&f.log, nil))}
	return f
}

func (f *folder) key() *timed.Key {
	f.t.Helper()
	k, err := f.open()
	if err != nil {
		f.t.Fatal(err)
	}
	return k
}

func (f *folder) token() string {
	f.t.Helper()
	token, err := f.operatorToken()
	if err != nil {
		f.t.Fatal(err)
	}
	if strings.Contains(f.log.String(), token) {
		f.t.Error("the token is in the log")
	}
	return token
}

// TestSecretsAreKept: they are made once, for this user alone, and found again.
func TestSecretsAreKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "var", "data")
	first := newFolder(t, dir)
	key, token := first.key(), first.token()
	if auth.ValidKey(token) != nil || len(token) < 26 {
		t.Errorf("the token is %q", token)
	}
	for _, name := range []string{keyFile, tokenFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("in the folder: %v, %v", files, err)
	}
	again := newFolder(t, dir)
	if k := again.key(); k.ID() != key.ID() {
		t.Error("at the next start it is another key")
	}
	if got := again.token(); got != token {
		t.Errorf("at the next start the token is %q", got)
	}
	if log := first.log.String() + again.log.String(); log != "" {
		t.Errorf("it says %s", log)
	}
	if err := os.Chmod(filepath.Join(dir, tokenFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if again.token(); !strings.Contains(again.log.String(), "can be read by others") || !strings.Contains(again.log.String(), "chmod 600") {
		t.Errorf("of a file that everybody can read it says %q", again.log.String())
	}
}

// TestSecretsThatAreBroken: a key that cannot be read is neither written over nor the end of the show.
func TestSecretsThatAreBroken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{keyFile, tokenFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("short"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := newFolder(t, dir)
	if one, other := f.key(), newFolder(t, dir).key(); one.ID() == other.ID() {
		t.Error("two runs have the same key, which was kept nowhere")
	}
	if log := f.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, keyFile) || !strings.Contains(log, "take it away") {
		t.Errorf("it says %q", log)
	}
	if _, err := f.operatorToken(); err == nil || !strings.Contains(err.Error(), tokenFile) || !strings.Contains(err.Error(), "shorter than 8") {
		t.Errorf("the broken token: %v", err)
	}
	for _, name := range []string{keyFile, tokenFile} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != "short" {
			t.Errorf("%s is now %q, %v", name, text, err)
		}
	}
}

// TestNoDataFolder: where nothing can be written, it is said how to mend that.
func TestNoDataFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFolder(t, filepath.Join(file, "data"))
	f.key()
	for _, words := range []string{"level=ERROR", "CANNOT BE WRITTEN", "data.directory", "PUSHCART_DATA_DIRECTORY"} {
		if !strings.Contains(f.log.String(), words) {
			t.Errorf("it does not say %q: %s", words, f.log.String())
		}
	}
	if _, err := f.operatorToken(); err == nil {
		t.Error("there is a token nevertheless")
	}
}
