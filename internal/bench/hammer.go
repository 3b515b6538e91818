package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/load"
	"pushcart/packager/hls"
)

const (
	hammerConnections = 50
	hammerWarmUp      = 200 * time.Millisecond
)

// serveFixed answers for each thing with bytes that never change.
func serveFixed(ctx context.Context, things []*thing) error {
	runtime.GOMAXPROCS(1)
	type fixed struct {
		keys   []string
		values [][]string
		body   []byte
	}
	byPath := map[string]*fixed{}
	for _, t := range things {
		f := &fixed{body: make([]byte, t.Size)}
		rand.NewChaCha8([32]byte{}).Read(f.body)
		for _, k := range sortedKeys(t.Header) {
			f.keys, f.values = append(f.keys, k), append(f.values, t.Header[k])
		}
		byPath[t.Path] = f
	}
	set := config.Default().HTTP
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{
		ReadHeaderTimeout: time.Duration(set.HeaderTimeout), IdleTimeout: time.Duration(set.IdleTimeout),
		WriteTimeout: hls.WriteTimeout, MaxHeaderBytes: int(set.MaxHeaderSize), Protocols: protocols,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f := byPath[r.RequestURI]
			if f == nil {
				http.NotFound(w, r)
				return
			}
			head := w.Header()
			for i, k := range f.keys {
				head[k] = f.values[i]
			}
			w.Write(f.body)
		}),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { s.Close() })
	if err := say(listening{l.Addr().String()}); err != nil {
		return err
	}
	return s.Serve(l)
}

// hammerMode asks a server for one thing on many connections, each as fast as it is answered.
func hammerMode(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("hammer", flag.ContinueOnError)
	address := f.String("address", "", "server")
	path := f.String("path", "", "what to ask for")
	zipped := f.Bool("gzip", false, "take it compressed")
	pid := f.Int("pid", 0, "process of the server, whose CPU time is measured")
	d := f.Duration("for", time.Second, "how long")
	if err := f.Parse(args); err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var count atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, hammerConnections)
	for range hammerConnections {
		v, err := dialViewer(*address)
		if err != nil {
			return err
		}
		defer v.Close()
		group.Go(func() { failed <- hammerOn(ctx, v, v.Request(*path, *zipped), &count) })
	}
	if err := load.Pause(ctx, hammerWarmUp); err != nil {
		return err
	}
	from := count.Load()
	used, wall, err := measure(ctx, *pid, *d)
	if err != nil {
		return err
	}
	h := hammered{Requests: int(count.Load() - from), CPU: used, Clock: wall}
	cancel()
	for range hammerConnections {
		if err := <-failed; err != nil {
			return err
		}
	}
	return say(h)
}

// hammerOn asks and reads answers until ctx ends.
func hammerOn(ctx context.Context, v *load.Conn, request []byte, count *atomic.Int64) error {
	for ctx.Err() == nil {
		if err := v.Send(request); err != nil {
			return err
		}
		a, err := v.Answer(false)
		if err != nil {
			return err
		}
		if a.Status != http.StatusOK {
			return fmt.Errorf("status %d", a.Status)
		}
		count.Add(1)
	}
	return nil
}
