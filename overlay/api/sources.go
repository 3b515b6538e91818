package api

import (
	"net/http"
	"time"

	"pushcart/overlay"
)

// Sources are what the node fetches streams from. The methods are for any goroutine.
type Sources interface {
	// List tells of all, by stream.
	List() []Source
	// Get tells of a stream's; false when it has none.
	Get(stream string) (Source, bool)
	// Put adds a stream's source, or changes it. It is kept then. The error is an *overlay.Refusal.
	Put(stream string, s SourceRequest) (now Source, created bool, err error)
	// Remove stops a stream's source and forgets it. The error is an *overlay.Refusal.
	Remove(stream string) error
}

// Source is what a stream is fetched from, and how that goes.
type Source struct {
	Stream string `json:"stream"`
	// URL without its secrets, which stand as "…".
	URL      string `json:"url"`
	OnDemand bool   `json:"on_demand"`
	// Transport is "auto", "udp" or "tcp".
	Transport string `json:"transport"`
	Redirects bool   `json:"redirects"`
	// Configured tells that it comes from the configuration, and can be changed only there.
	Configured bool `json:"configured"`
	// State is "waiting", "connecting", "live" or "failed", and Since when it began.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Error is why the last attempt failed, and ErrorAt when.
	Error   string     `json:"error,omitempty"`
	ErrorAt *time.Time `json:"error_at,omitempty"`
	// NextTry is when one that failed is tried again.
	NextTry  *time.Time `json:"next_try,omitempty"`
	Attempts uint64     `json:"attempts"`
	Failures uint64     `json:"failures"`
}

// SourceList is all sources that a token may see.
type SourceList struct {
	Sources []Source `json:"sources"`
}

// SourceRequest adds a source, or changes it.
type SourceRequest struct {
	// URL with its secrets. One as Source shows it stands for the one that is there.
	URL string `json:"url"`
	// OnDemand fetches it only while somebody watches.
	OnDemand bool `json:"on_demand,omitempty"`
	// Transport is "auto", which "" means too, "udp" or "tcp".
	Transport string `json:"transport,omitempty"`
	// Redirects lets the source send the node to another host.
	Redirects bool `json:"redirects,omitempty"`
}

// listSources leaves out the sources of streams that the token is not for.
func (c *call) listSources() error {
	list := SourceList{Sources: []Source{}}
	keys := c.api.opt.Tokens.Load()
	for _, s := range c.api.opt.Sources.List() {
		if _, ok := keys.Permits(s.Stream, c.token); ok {
			list.Sources = append(list.Sources, s)
		}
	}
	return c.answer("", list)
}

func (c *call) getSource() error {
	s, ok := c.api.opt.Sources.Get(c.stream)
	if !ok {
		return problemf(overlay.ReasonNotFound, "name", "The stream has no source that it is fetched from.")
	}
	return c.answer("", s)
}

// putSource is for admins: whoever adds a source has the node call whatever address it can reach, also those that nobody outside can.
func (c *call) putSource() error {
	var request SourceRequest
	if err := decode(c.body, &request); err != nil {
		return err
	}
	if request.URL == "" {
		return problemf(overlay.ReasonInvalid, "url", "It is missing: send where the stream is fetched from, such as rtsp://user:password@camera.example/stream.")
	}
	s, created, err := c.api.opt.Sources.Put(c.stream, request)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		c.w.Header().Set("Location", "/api/v1/sources/"+c.stream)
	}
	writeJSON(c.w, status, kindJSON, s)
	return nil
}

func (c *call) deleteSource() error {
	if err := c.api.opt.Sources.Remove(c.stream); err != nil {
		return err
	}
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// noSources is a node that fetches nothing.
type noSources struct{}

func (noSources) List() []Source            { return nil }
func (noSources) Get(string) (Source, bool) { return Source{}, false }
func (noSources) Put(string, SourceRequest) (Source, bool, error) {
	return Source{}, false, problemf(overlay.ReasonForbidden, "", "This node fetches no streams.")
}
func (noSources) Remove(string) error {
	return problemf(overlay.ReasonNotFound, "name", "The stream has no source that it is fetched from.")
}
