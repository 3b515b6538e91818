package node

import (
	"errors"
	"time"

	"pushcart/ingest/pull"
	"pushcart/overlay"
	"pushcart/overlay/api"
)

// sources tells the API about what the node fetches.
type sources struct{ *pull.Manager }

// List implements api.Sources.
func (s sources) List() []api.Source {
	var out []api.Source
	for _, st := range s.Manager.List() {
		out = append(out, describeSource(st))
	}
	return out
}

// Get implements api.Sources.
func (s sources) Get(stream string) (api.Source, bool) {
	st, ok := s.Manager.Get(stream)
	return describeSource(st), ok
}

// Put implements api.Sources.
func (s sources) Put(stream string, r api.SourceRequest) (api.Source, bool, error) {
	st, created, err := s.Manager.Put(pull.Source{Stream: stream, URL: r.URL, OnDemand: r.OnDemand, Transport: r.Transport, Redirects: r.Redirects})
	return describeSource(st), created, sourceRefusal(err)
}

// Remove implements api.Sources.
func (s sources) Remove(stream string) error { return sourceRefusal(s.Manager.Remove(stream)) }

func describeSource(st pull.Status) api.Source {
	return api.Source{
		Stream: st.Stream, URL: st.URL, OnDemand: st.OnDemand, Transport: st.Transport, Redirects: st.Redirects, Configured: st.Configured,
		State: string(st.State), Since: st.Since.UTC(), Error: st.Error, ErrorAt: moment(st.ErrorAt), NextTry: moment(st.NextTry),
		Attempts: st.Attempts, Failures: st.Failures,
	}
}

// moment is a time for the API; nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// sourceRefusal words an error of package pull as the API takes it: the reasons have the same names.
func sourceRefusal(err error) error {
	var e *pull.Error
	if errors.As(err, &e) {
		return &overlay.Refusal{Reason: overlay.Reason(e.Reason), Field: e.Field, Message: e.Message}
	}
	return err
}
