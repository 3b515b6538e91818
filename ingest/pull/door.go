package pull

import (
	"sync"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// Door is the ingest door as Pullers use it: it lets everybody through to the one behind it, and tells the Manager when
// media of a source begin to come.
type Door struct {
	behind ingest.Entry

	mu       sync.Mutex // guards watchers
	watchers map[string]func()
}

// NewDoor makes a door in front of another.
func NewDoor(behind ingest.Entry) *Door { return &Door{behind: behind, watchers: map[string]func(){}} }

// Open implements ingest.Entry.
func (d *Door) Open(r ingest.Request) (ingest.Publication, error) {
	p, err := d.behind.Open(r)
	if err != nil || !r.Pulled {
		return p, err
	}
	return &publication{Publication: p, door: d}, nil
}

// Permits tells whether the door behind would let a request in, where that can tell; otherwise it says so of all.
func (d *Door) Permits(r ingest.Request) bool {
	if p, ok := d.behind.(interface{ Permits(ingest.Request) bool }); ok {
		return p.Permits(r)
	}
	return true
}

// watch has a function called when the stream's next publication has taken its first frame, until it is told to stop.
func (d *Door) watch(stream string, began func()) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers[stream] = began
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, stream)
	}
}

func (d *Door) began(stream string) {
	d.mu.Lock()
	began := d.watchers[stream]
	d.mu.Unlock()
	if began != nil {
		began()
	}
}

// publication tells of the first frame.
type publication struct {
	ingest.Publication
	door *Door
	live bool // a frame was taken; for the publisher's goroutine
}

// Write implements ingest.Publication.
func (p *publication) Write(f *stream.Frame) error {
	err := p.Publication.Write(f)
	if err == nil && !p.live {
		p.live = true
		p.door.began(p.Name())
	}
	return err
}
