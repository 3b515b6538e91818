package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// FS is what a journal needs of a file system. Names are paths. Disk is the real one; tests have others, which fail on
// purpose.
type FS interface {
	// Open opens a file for reading and writing. When there is none, it makes an empty one for the owner only, if it is to
	// create; else its error is fs.ErrNotExist.
	Open(name string, create bool) (File, error)
	// Create makes an empty file in place of what may be there, for the owner only.
	Create(name string) (File, error)
	// Rename gives a file another name, in place of what may be there, at once.
	Rename(from, to string) error
	// Remove deletes a file.
	Remove(name string) error
	// MakeDir makes a folder and those above it, for the owner only, on the disk when it returns; one that is there is no
	// error.
	MakeDir(name string) error
	// SyncDir returns when the names in a folder are on the disk.
	SyncDir(name string) error
	// Exists tells whether there is such a file.
	Exists(name string) (bool, error)
	// List tells of the files in a folder, in no particular order; one that is not there is empty.
	List(dir string) ([]Info, error)
}

// Info is what is known of a file.
type Info struct {
	// Name within its folder.
	Name string
	// Modified is when it was last written.
	Modified time.Time
}

// File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size in bytes.
	Size() (int64, error)
	// Truncate cuts the file to a size.
	Truncate(size int64) error
	// Sync returns when all that was written is on the disk. After an error nobody knows what is.
	Sync() error
	// Lock takes the file for this opening of it, until it is closed. Its error is ErrInUse when another has it, in this
	// process or in another one.
	Lock() error
	// Is tells whether name still stands for this file.
	Is(name string) (bool, error)
}

// Disk is the operating system's file system.
type Disk struct{}

// Open implements FS.
func (Disk) Open(name string, create bool) (File, error) {
	if create {
		return open(name, os.O_RDWR|os.O_CREATE)
	}
	return open(name, os.O_RDWR)
}

// Create implements FS.
func (Disk) Create(name string) (File, error) { return open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC) }

func open(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

// Rename implements FS.
func (Disk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (Disk) Remove(name string) error { return os.Remove(name) }

// MakeDir implements FS.
func (d Disk) MakeDir(name string) error {
	if st, err := os.Stat(name); err == nil {
		if !st.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: name, Err: errors.New("there is a file of that name")}
		}
		return nil
	}
	above := filepath.Dir(name)
	if above != name {
		if err := d.MakeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(above)
}

// SyncDir implements FS.
func (Disk) SyncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Exists implements FS.
func (Disk) Exists(name string) (bool, error) {
	_, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// List implements FS.
func (Disk) List(dir string) ([]Info, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Info
	for _, e := range entries {
		if st, gone := e.Info(); gone == nil && st.Mode().IsRegular() {
			all = append(all, Info{Name: e.Name(), Modified: st.ModTime()})
		}
	}
	return all, err
}

// diskFile is a File of Disk.
type diskFile struct{ *os.File }

// Size implements File.
func (f diskFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Lock implements File.
func (f diskFile) Lock() error { return lock(f.File) }

// Close implements File.
func (f diskFile) Close() error {
	unlock(f.File)
	return f.File.Close()
}

// Is implements File.
func (f diskFile) Is(name string) (bool, error) {
	here, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(here, there), err
}
