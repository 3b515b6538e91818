package ingest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"pushcart/internal/auth"
)

// TestAuthority: the door passes on what a publisher says, and takes the authority's word for who it is.
func TestAuthority(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	g := &granter{of: map[string]auth.Grant{"secret": {Name: "show", Ladder: "mobile"}}}
	b := newDoorBench(t, func(o *Options) {
		o.Authority = g
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	req := Request{Protocol: "srt", Remote: local, Stream: "bare-secret", Key: "secret", Agent: "OBS"}
	if !b.Permits(req) || b.hub.Get("show") != nil {
		t.Error("Permits refuses, or claims")
	}
	p, err := b.Open(req)
	if err != nil {
		t.Fatal(err)
	}
	want := auth.Attempt{Protocol: "srt", Remote: local, Stream: "bare-secret", Secret: "secret", Agent: "OBS"}
	if g.asks[1] != want {
		t.Errorf("asked %+v", g.asks[1])
	}
	want.Probe = true
	if g.asks[0] != want {
		t.Errorf("Permits asked %+v", g.asks[0])
	}
	if p.Name() != "show" || b.hub.Get("show").Ladder() != "mobile" || g.live() != 1 {
		t.Errorf("%s with %q, %d held", p.Name(), b.hub.Get("show").Ladder(), g.live())
	}
	p.Close(nil)
	p.Close(nil)
	if g.live() != 0 {
		t.Errorf("%d held afterwards", g.live())
	}

	// A refusal is the publisher's to read; who cannot decide lets nobody in.
	for _, tt := range []struct {
		err    error
		reason Reason
		words  string
	}{
		{&auth.Denied{Why: auth.WhyKey, Message: "Your plan has ended."}, ReasonBadKey, "Your plan has ended."},
		{&auth.Denied{Why: auth.WhyBusy, Message: "Later."}, ReasonLimit, "Later."},
		{&auth.Denied{Why: auth.WhyDown, Message: "Down."}, ReasonAuthority, "Down."},
		{&auth.Denied{Why: auth.WhyNoKeys, Message: "None."}, ReasonNoKeys, "None."},
		{&auth.Denied{Why: auth.WhyName, Message: "Name."}, ReasonBadName, "Name."},
		{errors.New("broken"), ReasonAuthority, "cannot check"},
	} {
		g.err = tt.err
		_, err := b.Open(Request{Protocol: "rtmp", Remote: local, Stream: "another-bare-secret"})
		wantRefusal(t, err, tt.reason, tt.words)
		if b.Permits(req) {
			t.Error("Permits permits")
		}
	}
	// Where no keys are configured there are no secrets either.
	if n := strings.Count(log.String(), "bare-secret"); n != 1 || !strings.Contains(log.String(), "stream=another-bare-secret reason=no_keys_configured") {
		t.Errorf("a bare secret is in the log: %s", &log)
	}
}

// TestRefusalsNameTheStream: once it is known which stream it is about, the log says so.
func TestRefusalsNameTheStream(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b := newDoorBench(t, func(o *Options) {
		o.Authority = &granter{of: map[string]auth.Grant{"one": {Name: "show"}, "two": {Name: "show"}}}
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	if _, err := b.come("x1", "one"); err != nil {
		t.Fatal(err)
	}
	_, err := b.come("bare-secret", "two")
	wantRefusal(t, err, ReasonNameTaken, "")
	if text := log.String(); strings.Contains(text, "bare-secret") || !strings.Contains(text, `msg="publisher refused" protocol=rtmp remote=192.0.2.7:1 stream=show reason=name_taken`) {
		t.Error(text)
	}
}

// TestContextOfRequest: who goes while it is decided is not let in, and the authority hears of it.
func TestContextOfRequest(t *testing.T) {
	t.Parallel()
	b := newDoorBench(t, func(o *Options) { o.Authority = &granter{} })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Open(Request{Protocol: "rtmp", Remote: local, Stream: "show", Context: ctx}); err == nil || b.hub.Get("show") != nil {
		t.Error("a publisher that went has the stream")
	}
}
