package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// Errors that callers decide on.
var (
	// ErrInUse: another opening of the file has it.
	ErrInUse = errors.New("another process uses this file: two nodes must not share a data folder, and the names of two streams must differ in more than upper and lower case where the file system does not tell them apart")
	// ErrVersion: the file was written by a version of this program that is newer, or it is no journal.
	ErrVersion = errors.New("the file has a version that this program does not know: run the version that wrote it, or move the file away")
	// ErrTooLarge: a record, or the file, is over its bound.
	ErrTooLarge = errors.New("it is too large")
	// ErrRewrite: what is in the file is not known after a failure; Rewrite it before the next Append.
	ErrRewrite = errors.New("the file must be written anew after an earlier failure")
	// ErrClosed: the journal is closed.
	ErrClosed = errors.New("the journal is closed")
)

// Recovery tells what Open found that was not whole.
type Recovery struct {
	// Torn is the number of bytes that were cut off the end: an append that was interrupted, and so was never
	// acknowledged.
	Torn int64
	// Aside is the name of a copy of the file, which is damaged; "" when it is not. Then the journal is Broken: it takes
	// nothing until Rewrite has replaced the file, with the records that Open returned, or what the caller makes of them.
	Aside string
	// Lost is how many bytes of the damaged file, from the first that could not be read, were not taken over.
	Lost int64
}

// mostAside is how many damaged files are kept of one journal; beyond that the last is replaced.
const mostAside = 20

// Open opens the journal in the file name, with its folder, and returns its records, which are the caller's. When there is
// none it makes an empty one if it is to create, else the error is fs.ErrNotExist. See ErrInUse and ErrVersion.
func Open(fsys FS, name string, create bool) (*Journal, [][]byte, error) {
	j, records, err := openJournal(fsys, name, create)
	if err != nil {
		return nil, nil, fmt.Errorf("open journal %s: %w", name, err)
	}
	return j, records, nil
}

func openJournal(fsys FS, name string, create bool) (*Journal, [][]byte, error) {
	if create {
		if err := fsys.MakeDir(filepath.Dir(name)); err != nil {
			return nil, nil, err
		}
	}
	f, err := take(fsys, name, create)
	if err != nil {
		return nil, nil, err
	}
	j := &Journal{fs: fsys, name: name, file: f}
	records, err := j.load()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return j, records, nil
}

// take opens and locks a file. Between the two, whoever had the lock may have put another file in its place.
func take(fsys FS, name string, create bool) (File, error) {
	for range 100 {
		f, err := fsys.Open(name, create)
		if err != nil {
			return nil, err
		}
		same := false
		if err = f.Lock(); err == nil {
			same, err = f.Is(name)
		}
		if err == nil && same {
			return f, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, ErrInUse
}

// load reads the file and mends it.
func (j *Journal) load() ([][]byte, error) {
	// What a rewriting that was interrupted left behind.
	if err := j.fs.Remove(j.beside()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b, err := readAll(j.file)
	if err != nil {
		return nil, err
	}
	if len(b) <= headerSize && string(b) != string(header) && !foreign(b) {
		j.recovery.Torn = int64(len(b))
		return nil, j.begin()
	}
	whole := string(b[:headerSize]) == string(header)
	if !whole && string(b[:len(magic)]) == string(magic) {
		return nil, ErrVersion
	}
	records, good := replay(b[headerSize:])
	return records, j.mend(b, headerSize+good, whole)
}

// mend makes the file what it is as far as good; whole tells that this includes the header. Damage stays in place until
// Rewrite puts a whole file there, with what the caller makes of it: a crash before that finds it again.
func (j *Journal) mend(b []byte, good int, whole bool) error {
	rest := b[good:]
	j.size = int64(good)
	switch {
	case !whole || len(rest) > 0 && !torn(rest):
		j.unknown = true
		return j.setAside(b, good)
	case len(rest) > 0:
		j.recovery.Torn = int64(len(rest))
		if err := j.cut(int64(good)); err != nil {
			return err
		}
	default:
		// Whoever made the file, or wrote what was just read, may not have come to this.
		if err := j.file.Sync(); err != nil {
			return err
		}
	}
	return j.fs.SyncDir(filepath.Dir(j.name))
}

// foreign tells whether b, no longer than a header, is whole and of another version.
func foreign(b []byte) bool {
	return len(b) == headerSize && string(b[:len(magic)]) == string(magic) && string(b[len(magic):]) != "\x00\x00\x00\x00"
}

// begin makes the file an empty journal.
func (j *Journal) begin() error {
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	if _, err := j.file.WriteAt(header, 0); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.size = headerSize
	return j.fs.SyncDir(filepath.Dir(j.name))
}

// setAside keeps a copy of a damaged file beside the journal.
func (j *Journal) setAside(b []byte, good int) error {
	name, there, err := j.asideName(b)
	if err == nil && !there {
		err = j.copyTo(name, b)
	}
	if err == nil {
		err = j.fs.SyncDir(filepath.Dir(j.name))
	}
	if err != nil {
		return fmt.Errorf("the file is damaged at byte %d, and keeping a copy as %s failed: %w", good, name, err)
	}
	j.recovery.Aside, j.recovery.Lost = name, int64(len(b)-good)
	return nil
}

func (j *Journal) copyTo(name string, b []byte) error {
	f, err := j.fs.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		j.fs.Remove(name)
	}
	return err
}

// asideName chooses the name of the copy; there tells that it is there already, made when the file was opened before.
func (j *Journal) asideName(b []byte) (name string, there bool, err error) {
	before := ""
	for n := 1; n <= mostAside; n++ {
		name = fmt.Sprintf("%s.damaged-%d", j.name, n)
		if there, err = j.fs.Exists(name); err != nil {
			return name, false, err
		}
		if !there {
			break
		}
		before = name
	}
	if before != "" && j.isCopy(before, b) {
		return before, true, nil
	}
	return name, false, nil
}

// isCopy tells whether a file, as it is on the disk, has these bytes.
func (j *Journal) isCopy(name string, b []byte) bool {
	f, err := j.fs.Open(name, false)
	if err != nil {
		return false
	}
	defer f.Close()
	has, err := readAll(f)
	return err == nil && bytes.Equal(has, b) && f.Sync() == nil
}

// readAll reads a file of at most MaxFile bytes.
func readAll(f File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > MaxFile {
		return nil, fmt.Errorf("the file has %d bytes, and %d is the most: %w", size, MaxFile, ErrTooLarge)
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); err != nil && !(errors.Is(err, io.EOF) && n == len(b)) {
		return nil, err
	}
	return b, nil
}
