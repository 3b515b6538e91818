package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"pushcart/internal/auth"
	"pushcart/overlay/journal"
	"pushcart/overlay/timed"
)

// Files of the data folder, besides the journals. Both are secrets.
const (
	keyFile   = "signing.key"
	tokenFile = "operator.token"
)

// maxSecretFile bounds what is read of either, in bytes.
const maxSecretFile = 16 << 10

// dataFolder is where the node keeps what outlives it. One that cannot be written does not stop the node: the show goes on
// without cards.
type dataFolder struct {
	dir string
	log *slog.Logger
}

// open makes the folder if need be and returns the key that signs states; it is of this run only when it could not be kept.
func (d *dataFolder) open() (*timed.Key, error) {
	if err := d.writable(); err != nil {
		d.log.Error("THE DATA FOLDER CANNOT BE WRITTEN: streams go on, product cards do not", "folder", d.dir, "error", err,
			"hint", "let the user that the node runs as write there, or name another folder with data.directory "+
				"(PUSHCART_DATA_DIRECTORY), and start the node again")
	}
	text, err := d.secret(keyFile, func() (string, error) {
		k, err := timed.NewKey()
		if err != nil {
			return "", err
		}
		return string(k.PEM()), nil
	})
	var key *timed.Key
	if err == nil {
		key, err = timed.ParseKey([]byte(text))
	}
	if err == nil {
		return key, nil
	}
	d.log.Error("THE KEY THAT SIGNS WHAT IS SHOWN CANNOT BE READ OR KEPT: another one is used until the node stops",
		"file", d.path(keyFile), "error", err, "hint", "mend the file, or take it away to have a new one made, and start the node again")
	return timed.NewKey()
}

// operatorToken returns the token that the node made for its operator, at its first start.
func (d *dataFolder) operatorToken() (string, error) {
	text, err := d.secret(tokenFile, func() (string, error) { return auth.Generate() + "\n", nil })
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(text)
	if err := auth.ValidKey(token); err != nil {
		return "", fmt.Errorf("the token in %s cannot be used: %w", d.path(tokenFile), err)
	}
	return token, nil
}

func (d *dataFolder) path(name string) string { return filepath.Join(d.dir, name) }

// writable makes the folder and tries whether files can be made in it.
func (d *dataFolder) writable() error {
	if err := (journal.Disk{}).MakeDir(d.dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(d.dir, ".writable-*")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// secret returns what a file holds, which only the node's user may read; one that is not there is made.
func (d *dataFolder) secret(name string, make func() (string, error)) (string, error) {
	text, err := d.read(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	if text, err = make(); err != nil {
		return "", err
	}
	return text, d.write(name, text)
}

func (d *dataFolder) read(name string) (string, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		d.log.Warn("a secret of the node can be read by others on this host", "file", f.Name(), "hint", "chmod 600 "+f.Name())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	return string(text), err
}

// write makes a file at once and whole, or not at all.
func (d *dataFolder) write(name, text string) error {
	beside := d.path(name + ".new")
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(beside, d.path(name))
	}
	if err != nil {
		os.Remove(beside)
		return err
	}
	return syncFolder(d.dir)
}

// syncFolder has the names in a folder outlive a crash.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
