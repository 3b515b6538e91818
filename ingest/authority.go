package ingest

import (
	"context"
	"errors"

	"pushcart/internal/auth"
	"pushcart/internal/stream"
)

// Authority decides who may publish.
type Authority interface {
	// Publish decides on an attempt. It may take seconds, or as long as ctx, and is called by the goroutines of many publishers at
	// once: none of them may wait for another's. An error that is no *auth.Denied counts as one of nobody who can be asked.
	Publish(ctx context.Context, a auth.Attempt) (auth.Grant, error)
}

// pulled begins the credential of streams that the node fetches: a source takes its own stream over, and nobody else's.
const pulled = "pulled:"

// guest is who asks to be let in, once that is known.
type guest struct {
	auth.Grant
	pulled  bool
	journey Journey // nil is nobody's
}

// authorise resolves who is asking and for which stream.
func (d *Door) authorise(ctx context.Context, req Request, probe bool) (guest, *Refusal) {
	if req.Pulled {
		if err := auth.ValidName(req.Stream); err != nil {
			return guest{}, Refuse(ReasonBadName, "The stream name %q cannot be used: %v.", Clip(req.Stream), err)
		}
		credential := pulled + req.Stream
		if d.opt.Node != "" {
			credential += "@" + d.opt.Node
		}
		return guest{Grant: auth.Grant{Name: req.Stream, Credential: auth.Credential(credential)}, pulled: true}, nil
	}
	g, err := d.opt.Authority.Publish(ctx, auth.Attempt{
		Protocol: req.Protocol, Stream: req.Stream, Secret: req.Key, Remote: req.Remote, Agent: req.Agent, Probe: probe,
	})
	var denied *auth.Denied
	switch {
	case err == nil:
		return guest{Grant: g}, nil
	case errors.As(err, &denied):
		return guest{}, &Refusal{Reason: Reason(denied.Why), Message: denied.Message}
	}
	d.opt.Log.Error("it cannot be decided who may publish", "error", err)
	return guest{}, Refuse(ReasonAuthority, "This server cannot check stream keys at this time. Try again in a moment.")
}

// context is that of a request.
func (d *Door) context(req Request) context.Context {
	if req.Context != nil {
		return req.Context
	}
	return context.Background()
}

// Permits tells whether Open would authorise the request, by its key and name alone: it claims nothing, counts nothing and
// logs nothing. Protocols whose clients ask first without a key, to be asked for one, need it. It may take as long as Open.
func (d *Door) Permits(req Request) bool {
	_, refusal := d.authorise(d.context(req), req, true)
	return refusal == nil
}

// printable hides what may be a bare secret.
func (d *Door) printable(req Request, r *Refusal) string {
	switch {
	case r.stream != "":
		return r.stream
	case req.Pulled, r.Reason == ReasonNoKeys, d.opt.Hub.Get(req.Stream) != nil:
		return Clip(req.Stream)
	}
	return "(withheld)"
}

// publisher is a guest as the hub knows it.
func (d *Door) publisher(req Request, who guest) stream.Publisher {
	return stream.Publisher{
		Credential: string(who.Credential), Ladder: who.Ladder, Standby: who.Standby, MaxStreams: d.opt.Settings().MaxStreams,
		Protocol: req.Protocol, Remote: req.Remote.String(), Agent: req.Agent,
	}
}
