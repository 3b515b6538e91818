package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"pushcart/relay/trust"
)

// Bounds of posters that come from other nodes.
const (
	posterFresh   = 2 * time.Second // for which one is given again
	posterTimeout = 5 * time.Second
	mostPoster    = 2 << 20 // bytes
	mostPosters   = 1000    // that are kept
)

// posters fetches those of copied streams from the node that a stream is copied from.
type posters struct {
	c      *cluster
	client *http.Client

	mu       sync.Mutex // guards byStream
	byStream map[string]*fetchedPoster
}

// fetchedPoster is a stream's.
type fetchedPoster struct {
	mu     sync.Mutex // held while it is fetched, so that all who ask meanwhile get the one
	jpeg   []byte     // nil where there is none
	at     time.Time  // when the picture was taken, by the origin's clock
	before time.Time  // until when it is given as it is
}

func newPosters(c *cluster) *posters {
	p := &posters{c: c, byStream: map[string]*fetchedPoster{}}
	p.client = &http.Client{Timeout: posterTimeout, Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			name, _, _ := net.SplitHostPort(address) // the request's host is the node's name
			for _, o := range c.directory.Peers() {
				if o.Name == name && o.Address != "" {
					return c.dial(ctx, o.Address, o.Name)
				}
			}
			return nil, fmt.Errorf("there is no way to the node %q", name)
		},
		MaxConnsPerHost: 4, IdleConnTimeout: time.Minute,
	}}
	return p
}

// get returns the poster of a stream that is copied.
func (p *posters) get(ctx context.Context, stream string) (jpeg []byte, at time.Time, ok bool) {
	path := p.c.manager.Path(stream)
	if len(path) < 2 {
		return nil, at, false
	}
	p.mu.Lock()
	f := p.byStream[stream]
	if f == nil {
		if len(p.byStream) >= mostPosters {
			clear(p.byStream) // also those of shows that were over when they were asked for
		}
		f = &fetchedPoster{}
		p.byStream[stream] = f
	}
	p.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.After(f.before) {
		jpeg, at, err := p.fetch(ctx, path[len(path)-2], stream)
		if ctx.Err() != nil {
			return nil, at, false // who asked has gone: the next one tries
		}
		if err != nil {
			p.c.n.log.Debug("a poster was not to be had", "stream", stream, "node", path[len(path)-2], "error", err)
			jpeg = nil
		}
		f.jpeg, f.at, f.before = jpeg, at, now.Add(posterFresh)
	}
	return f.jpeg, f.at, f.jpeg != nil
}

// forget drops what there is of a stream that is copied no more.
func (p *posters) forget(stream string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byStream, stream)
}

// fetch asks a node for a poster.
func (p *posters) fetch(ctx context.Context, node, stream string) (jpeg []byte, at time.Time, err error) {
	e, ok := p.c.directory.Lookup(stream)
	if !ok {
		return nil, at, errors.New("the directory does not know the stream")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+node+posterPath(stream), nil)
	if err != nil {
		return nil, at, err
	}
	token, err := p.c.token(e)
	if err != nil {
		return nil, at, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := p.client.Do(r)
	if err != nil {
		return nil, at, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, at, errors.New(resp.Status)
	}
	if at, err = http.ParseTime(resp.Header.Get("Last-Modified")); err != nil {
		return nil, at, err
	}
	if jpeg, err = io.ReadAll(io.LimitReader(resp.Body, mostPoster+1)); err == nil && len(jpeg) > mostPoster {
		err = errors.New("it is too large")
	}
	return jpeg, at, err
}

func posterPath(stream string) string { return "/relay/1/" + stream + "/poster.jpg" }

// serve gives a poster to another node, under the rules by which it gets the stream.
func (p *posters) serve(w http.ResponseWriter, r *http.Request) {
	stream := r.PathValue("stream")
	if err := p.may(r, stream); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	jpeg, at, ok := p.c.n.poster(r.Context(), stream)
	if !ok {
		http.Error(w, "there is no poster of this stream, or none yet", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Last-Modified", at.UTC().Format(http.TimeFormat))
	// A node that goes away is no fault of ours.
	_, _ = w.Write(jpeg)
}

// may checks a node's certificate, its token and the stream's policy.
func (p *posters) may(r *http.Request, stream string) error {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return errors.New("connect with the node's certificate")
	}
	node, region, err := trust.Peer(r.TLS.PeerCertificates[0])
	if err != nil {
		return err
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if err := p.c.verify(token, stream, node); err != nil {
		return err
	}
	if e, _ := p.c.directory.Lookup(stream); len(e.Regions) > 0 && !slices.Contains(e.Regions, region) {
		return fmt.Errorf("the stream is not for the region %q", region)
	}
	return nil
}

// relayHandler is all that other nodes may ask for.
func (c *cluster) relayHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", c.server)
	mux.HandleFunc("GET /relay/1/{stream}/poster.jpg", c.posters.serve)
	return mux
}
