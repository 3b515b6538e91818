package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
)

// Journal is an open journal. Its methods are for one goroutine at a time; it has none of its own.
type Journal struct {
	fs   FS
	name string
	file File
	size int64 // of the good part of the file, in bytes
	// unknown tells that the file may hold more than size, or that its name may not be on the disk.
	unknown  bool
	closed   bool
	recovery Recovery
}

// Recovery tells what Open had to mend.
func (j *Journal) Recovery() Recovery { return j.recovery }

// Size of the file in bytes.
func (j *Journal) Size() int64 { return j.size }

// Name of the file.
func (j *Journal) Name() string { return j.name }

// Broken tells that the file is to be written anew, by Rewrite, before Append takes anything.
func (j *Journal) Broken() bool { return j.unknown }

// Full tells whether an error came from a disk, or a quota, without room.
func Full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// Append writes records behind the others and returns when they are on the disk: with one flush, however many they are.
// After an error none of them is in the journal. Where that is certain, the next Append may succeed; where it is not,
// Broken tells so, and nothing is appended until Rewrite has succeeded.
func (j *Journal) Append(records ...[]byte) error {
	if err := j.append(records); err != nil {
		return fmt.Errorf("append to journal %s: %w", j.name, err)
	}
	return nil
}

func (j *Journal) append(records [][]byte) error {
	switch {
	case j.closed:
		return ErrClosed
	case j.unknown:
		return ErrRewrite
	}
	b, err := encode(0, records)
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return nil
	}
	if j.size+int64(len(b)) > MaxFile {
		return fmt.Errorf("the file would have more than %d bytes: %w", MaxFile, ErrTooLarge)
	}
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		// Some of it may be there, whole records even, and none of it may come back after a crash.
		return errors.Join(err, j.cut(j.size))
	}
	if err := j.file.Sync(); err != nil {
		// The system may have dropped the pages that it could not write and report nothing the next time: neither
		// these records nor those before can be relied on.
		err = errors.Join(err, j.cut(j.size))
		j.unknown = true
		return err
	}
	j.size += int64(len(b))
	return nil
}

// encode returns records as they stand in a file, with so many bytes free in front.
func encode(front int, records [][]byte) ([]byte, error) {
	n := front
	for _, r := range records {
		if len(r) == 0 || len(r) > MaxRecord {
			return nil, fmt.Errorf("a record has %d bytes, allowed is 1 to %d: %w", len(r), MaxRecord, ErrTooLarge)
		}
		n += recordSize + len(r)
	}
	b := make([]byte, front, n)
	for _, r := range records {
		b = appendRecord(b, r)
	}
	return b, nil
}

// cut takes the file back to its first size bytes, on the disk.
func (j *Journal) cut(size int64) error {
	err := j.file.Truncate(size)
	if err == nil {
		err = j.file.Sync()
	}
	j.unknown = err != nil
	return err
}

// beside is where a new file is written before it takes the journal's place.
func (j *Journal) beside() string { return j.name + ".new" }

// Rewrite puts a new file with these records, and no others, in the journal's place: to make it short, or to make it whole
// when it is Broken. When it fails before the new file has the name, the old one goes on as it was.
func (j *Journal) Rewrite(records [][]byte) error {
	if err := j.rewrite(records); err != nil {
		return fmt.Errorf("rewrite journal %s: %w", j.name, err)
	}
	return nil
}

func (j *Journal) rewrite(records [][]byte) error {
	if j.closed {
		return ErrClosed
	}
	b, err := encode(headerSize, records)
	if err != nil {
		return err
	}
	copy(b, header)
	if len(b) > MaxFile {
		return fmt.Errorf("the file would have more than %d bytes: %w", MaxFile, ErrTooLarge)
	}
	f, err := j.fs.Create(j.beside())
	if err != nil {
		return err
	}
	if err := j.replace(f, b); err != nil {
		f.Close()
		j.fs.Remove(j.beside())
		return err
	}
	j.file.Close() // the name is the new file's, whatever this says
	j.file, j.size = f, int64(len(b))
	// Until the folder is on the disk, a crash may bring the old file back, without what is appended from now on.
	err = j.fs.SyncDir(filepath.Dir(j.name))
	j.unknown = err != nil
	return err
}

// replace writes b to f, which it locks, and gives it the journal's name.
func (j *Journal) replace(f File, b []byte) error {
	if err := f.Lock(); err != nil {
		return err
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := j.fs.Rename(j.beside(), j.name); err != nil {
		// Should it have happened nevertheless, what is appended to the old file would be lost with it.
		same, isErr := j.file.Is(j.name)
		j.unknown = j.unknown || isErr != nil || !same
		return err
	}
	return nil
}

// Close lets the file go.
func (j *Journal) Close() error {
	if j.closed {
		return nil
	}
	j.closed = true
	return j.file.Close()
}
