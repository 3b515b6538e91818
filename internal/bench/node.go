package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"pushcart/internal/load"
)

// node is the program under test: the real binary as a child.
type node struct{ *load.Node }

// scratch is the folder of all nodes' data, removed at the end of the run.
var scratch string

// startNode runs the binary on free ports with default settings but for the given ones, KEY=VALUE as in its environment.
func startNode(ctx context.Context, binary string, env ...string) (*node, error) {
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("the node's program: %w (make build makes it)", err)
	}
	data, err := os.MkdirTemp(scratch, "node-")
	if err != nil {
		return nil, err
	}
	n, err := load.StartNode(ctx, binary, data, env...)
	if err != nil {
		return nil, err
	}
	return &node{n}, nil
}

var httpClient = &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}

// get fetches a page of the node's.
func get(address, path string) ([]byte, http.Header, error) {
	r, err := httpClient.Get("http://" + address + path)
	if err != nil {
		return nil, nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("get %s: %s: %s", path, r.Status, b)
	}
	return b, r.Header, err
}

// metric reads one series off the node, named with its labels as /metrics prints it.
func (n *node) metric(series string) (float64, error) {
	v, err := load.Metrics(context.Background(), "http://"+n.Admin+"/metrics", series)
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

// live waits until so many streams are.
func (n *node) live(ctx context.Context, streams int) error {
	return load.Until(ctx, load.StartTimeout, fmt.Sprintf("%d live streams", streams), func() (bool, error) {
		v, err := n.metric(`pushcart_streams{state="live"}`)
		return int(v) == streams, err
	})
}

// profile saves a CPU profile of the node over the given time; it returns once that has begun to run.
func (n *node) profile(dir, name string, d time.Duration) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := http.Client{Timeout: d + 20*time.Second}
		r, err := c.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", n.Admin, max(1, int(d.Seconds()))))
		if err != nil {
			progress("profile: %v", err)
			return
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(dir+"/"+name+".pprof", b, 0o600)
		}
		if err != nil {
			progress("profile: %v", err)
		}
	}()
	return func() { <-done }
}
