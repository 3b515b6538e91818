package pull

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFile bounds what is read of the file, in bytes.
const maxFile = 1 << 20

// file is where sources that were added through the API are kept. It holds their credentials: only the node's user may
// read it.
type file struct{ name string }

// kept is the file's content.
type kept struct {
	Sources []Source `json:"sources"`
}

// errDamaged is a file whose content is not what was written there.
var errDamaged = errors.New("it is damaged")

// load reads the sources; none when there is no file. With errDamaged come those that can be used all the same.
func (f file) load() ([]Source, error) {
	r, err := os.Open(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	return decode(text)
}

// decode takes the sources out of the file's content.
func decode(text []byte) ([]Source, error) {
	var k kept
	if len(text) > maxFile {
		return nil, fmt.Errorf("%w: it is larger than %d bytes", errDamaged, maxFile)
	}
	if json.Unmarshal(text, &k) != nil {
		return nil, fmt.Errorf("%w: it is not the JSON that it was written as", errDamaged) // what it is may have secrets in it
	}
	var good []Source
	var wrong error
	seen := map[string]bool{}
	for i, s := range k.Sources {
		err := Validate(s)
		if err == nil && seen[s.Stream] {
			err = fmt.Errorf("the stream %s has one already", s.Stream)
		}
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%w: source %d of %d: %w", errDamaged, i+1, len(k.Sources), err))
			continue
		}
		seen[s.Stream] = true
		good = append(good, s)
	}
	return good, wrong
}

// save writes the sources, all of them or none: a crash leaves the file as it was before or as it is afterwards.
func (f file) save(sources []Source) error {
	if sources == nil {
		sources = []Source{}
	}
	text, err := json.MarshalIndent(kept{sources}, "", "  ")
	if err != nil {
		return err
	}
	beside := f.name + ".new"
	if err := write(beside, append(text, '\n')); err != nil {
		return errors.Join(err, remove(beside))
	}
	if err := os.Rename(beside, f.name); err != nil {
		return errors.Join(err, remove(beside))
	}
	folder, err := os.Open(filepath.Dir(f.name))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// write makes a file that only the node's user may read, and returns when it is on the disk.
func write(name string, text []byte) error {
	// What a crash left there may have other permissions.
	if err := remove(name); err != nil {
		return err
	}
	w, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// setAside gives a damaged file another name, so that nothing that may be of use in it is overwritten.
func (f file) setAside() (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.damaged-%d", f.name, n)
		_, err := os.Lstat(name)
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		return name, os.Rename(f.name, name)
	}
}
