package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pushcart/internal/conformance"
	"pushcart/internal/load"
	"pushcart/internal/testkit"
)

// soakForward knows the highest media sequence number that any playlist of a name had: it never goes back (rfc8216bis 6.2.2), not for
// another show of the same name either.
type soakForward struct {
	mu      sync.Mutex // guards highest
	highest map[string]int64
}

// now is the number before a request.
func (f *soakForward) now(name string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.highest[name]
}

// saw notes a playlist's, and tells whether it is not below what there was before the request.
func (f *soakForward) saw(name string, seq, before int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.highest[name] = max(f.highest[name], seq)
	return seq >= before
}

// strict checks a stream over and over. What breaks a rule is a fault; that the stream is not there is none unless it must be.
func (k *soak) strict(name string, always bool, opt conformance.Options) {
	if always {
		k.wait(3 * time.Second) // so that the node has learnt how far key frames are apart, and hints what comes
	}
	for k.on() {
		ctx, cancel := context.WithTimeout(k.ctx, 30*time.Second)
		tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
		report, err := conformance.Check(ctx, &http.Client{Transport: tr}, k.master(name), opt)
		cancel()
		tr.CloseIdleConnections()
		if report != nil {
			k.requests.Add(int64(report.Facts.Requests))
			if n := len(report.Violations); n > 0 && k.on() {
				k.violations.Add(int64(n + report.Suppressed))
				k.fault("%s: the strict client found: %s", name, report)
			}
		}
		if err != nil {
			if always && k.on() {
				k.fault("%s: the strict client: %v", name, err)
			}
			k.wait(200 * time.Millisecond)
		} else {
			k.checks.Add(1)
		}
	}
}

func (k *soak) master(name string) string {
	return "http://" + k.s.HTTP + "/live/" + name + "/index.m3u8"
}

// onlooker is a light viewer: it comes, plays for a while and leaves, now and then in the middle of a response.
type onlooker struct {
	*soak
	name string
	rand *rand.Rand
	conn *load.Conn
}

func (v *onlooker) run() {
	for v.on() {
		conn, err := load.DialConn(v.ctx, v.s.HTTP, nil, "soak")
		if err != nil {
			if v.on() {
				v.fault("viewer of %s: %v", v.name, err)
			}
			return
		}
		v.conn = conn
		v.conn.Timeout = 30 * time.Second
		stop := context.AfterFunc(v.ctx, conn.Close)
		v.play(3 + v.rand.IntN(30))
		stop()
		conn.Close()
		v.wait(time.Duration(v.rand.Int64N(int64(500 * time.Millisecond))))
	}
}

// play watches for so many playlists.
func (v *onlooker) play(turns int) {
	master, ok := v.get("index.m3u8")
	if !ok {
		return
	}
	all := testkit.Renditions(string(master))
	if len(all) == 0 {
		v.fault("viewer of %s: a multivariant playlist of nothing:\n%s", v.name, master)
		return
	}
	rendition := all[v.rand.IntN(len(all))]
	ref := rendition + ".m3u8"
	for range turns {
		before := v.msns.now(v.name + "/" + rendition)
		text, ok := v.get(ref)
		if !ok {
			return
		}
		p := testkit.ParsePlaylist(string(text))
		if !v.msns.saw(v.name+"/"+rendition, p.Sequence, before) {
			v.fault("viewer of %s: the media sequence number of %s goes back from %d to %d", v.name, rendition, before, p.Sequence)
		}
		last := p.Last()
		if p.Ended || last == nil {
			return
		}
		if n := len(last.Parts); n > 0 && !last.Parts[n-1].Gap {
			v.get(last.Parts[n-1].URI)
		}
		msn, part := p.Next()
		ref = fmt.Sprintf("%s.m3u8?_HLS_msn=%d&_HLS_part=%d", rendition, msn, part)
	}
	switch v.rand.IntN(3) {
	case 0: // while it waits
		v.conn.Send(v.conn.Request("/live/"+v.name+"/"+ref, false))
		v.leavers.Add(1)
	case 1: // in the middle of what comes
		if p := v.conn; p.Send(p.Request("/live/"+v.name+"/"+rendition+".m3u8", false)) == nil {
			v.leavers.Add(1)
		}
	}
}

// get asks for something beside the stream's multivariant playlist. A stream may be gone; nothing may go wrong.
func (v *onlooker) get(ref string) ([]byte, bool) {
	a, err := v.conn.Get("/live/"+v.name+"/"+ref, false)
	v.requests.Add(1)
	switch {
	case !v.on():
	case err != nil:
		v.fault("viewer of %s: %s: %v", v.name, ref, err)
	case a.Status == http.StatusOK:
		return slices.Clone(a.Body), true
	case a.Status != http.StatusNotFound && a.Status != http.StatusServiceUnavailable:
		v.fault("viewer of %s: %s: status %d: %.200s", v.name, ref, a.Status, a.Body)
	}
	return nil, false
}

// eyes read what the media of a stream show: all messages of its segments, with their signatures.
type eyes struct {
	*soak
	name string
	jwks []byte

	mu    sync.Mutex // guards what follows
	shown map[string]bool
	count int
}

// saw tells whether the media showed a revision of a card in a slot.
func (e *eyes) saw(line string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shown[line]
}

// run reads each segment of a stream that is always there, until it ends.
func (e *eyes) run(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	base := strings.TrimSuffix(e.master(e.name), "index.m3u8")
	ref, read := "video.m3u8", int64(-1)
	for {
		status, _, text, err := testkit.Get(context.Background(), client, base+ref)
		if err != nil || status != http.StatusOK {
			e.fault("who reads the media of %s: %s: status %d, %v", e.name, ref, status, err)
			return
		}
		p := testkit.ParsePlaylist(string(text))
		for _, g := range p.Segments {
			if !g.Complete || g.Gap || g.MSN <= read {
				continue
			}
			if read >= 0 && g.MSN != read+1 {
				e.fault("who reads the media of %s: behind segment %d comes %d", e.name, read, g.MSN)
			}
			read = g.MSN
			status, _, data, err := testkit.Get(context.Background(), client, base+g.URI)
			if err != nil || status != http.StatusOK {
				e.fault("who reads the media of %s: %s: status %d, %v", e.name, g.URI, status, err)
				return
			}
			m := &cardMedia{playlist: p, rendition: "video"}
			m.read(t, g.MSN, data)
			m.signed(t, e.jwks)
			e.mu.Lock()
			for i := range m.events {
				e.count++
				for one := range strings.FieldsSeq(m.events[i].state.shows()) {
					e.shown[one] = true
				}
			}
			e.mu.Unlock()
		}
		if p.Ended {
			return
		}
		msn, part := p.Next()
		ref = fmt.Sprintf("video.m3u8?_HLS_msn=%d&_HLS_part=%d", msn, part)
	}
}
