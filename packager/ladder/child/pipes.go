package child

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// pipes are a child's pipes, both ends. They are closed on exec (os.Pipe), so no other child holds any of them, and each ends
// when this child does.
type pipes struct {
	stdin            *os.File // our ends
	progress, stderr *os.File
	outputs          []io.ReadCloser

	theirs struct {
		stdin, stderr *os.File
		extra         []*os.File // from descriptor 3 on: progress, outputs
	}
	all []*os.File // for undo
}

// makePipes makes a child's pipes; room is the bytes asked for in those of the outputs.
func makePipes(outputs, room int) (p *pipes, err error) {
	p = &pipes{}
	defer func() {
		if err != nil {
			p.closeAll()
			p = nil
		}
	}()
	if p.theirs.stdin, p.stdin, err = p.make(); err != nil {
		return p, err
	}
	if p.stderr, p.theirs.stderr, err = p.make(); err != nil {
		return p, err
	}
	for i := range 1 + outputs {
		r, w, err := p.make()
		if err != nil {
			return p, err
		}
		p.theirs.extra = append(p.theirs.extra, w)
		if i == 0 {
			p.progress = r
			continue
		}
		widen(r, room)
		p.outputs = append(p.outputs, &output{File: r})
	}
	return p, nil
}

// make makes one pipe.
func (p *pipes) make() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, fmt.Errorf("make a pipe for the child: %w", err)
	}
	p.all = append(p.all, r, w)
	return r, w, nil
}

// closeTheirs closes the child's ends, which it has of its own by then.
func (p *pipes) closeTheirs() {
	p.theirs.stdin.Close()
	p.theirs.stderr.Close()
	for _, f := range p.theirs.extra {
		f.Close()
	}
}

// closeMedia closes our ends of input and outputs; who reads or writes there returns with os.ErrClosed.
func (p *pipes) closeMedia() {
	p.stdin.Close()
	for _, o := range p.outputs {
		o.Close()
	}
}

// closeAll closes every end.
func (p *pipes) closeAll() {
	for _, f := range p.all {
		f.Close()
	}
}

// output is what a child writes, for one reader. At its end it closes itself, and stays at its end.
type output struct {
	*os.File
	ended bool // the reader's
}

// Read implements io.Reader.
func (o *output) Read(b []byte) (int, error) {
	if o.ended {
		return 0, io.EOF
	}
	n, err := o.File.Read(b)
	if errors.Is(err, io.EOF) {
		o.ended = true
		o.File.Close()
	}
	return n, err
}

// Close implements io.Closer; a second time does nothing.
func (o *output) Close() error { return closeOnce(o.File) }

// closeOnce closes a file that may be closed already.
func closeOnce(f *os.File) error {
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// drain calls take with all that comes, up to the end, and closes the pipe.
func drain(f *os.File, take func(p []byte)) {
	defer f.Close()
	buf := make([]byte, 8<<10)
	for {
		n, err := f.Read(buf)
		take(buf[:n])
		if err != nil {
			return
		}
	}
}
