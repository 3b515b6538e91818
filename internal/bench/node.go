package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// node is the program under test: the real binary as a child.
type node struct {
	*child
	RTMP  string `json:"rtmp"`
	HTTP  string `json:"http"`
	Admin string `json:"admin"`
	RTSP  string `json:"rtsp"`
	SRT   string `json:"srt"`
	WHIP  string `json:"whip-udp"`
}

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
	env = append([]string{
		"PUSHCART_DATA_DIRECTORY=" + data,
		"PUSHCART_RTMP_ADDRESS=127.0.0.1:0", "PUSHCART_HTTP_ADDRESS=127.0.0.1:0", "PUSHCART_ADMIN_ADDRESS=127.0.0.1:0",
		"PUSHCART_RTSP_ADDRESS=127.0.0.1:0", "PUSHCART_RTSP_UDP_ADDRESS=127.0.0.1:0", "PUSHCART_SRT_ADDRESS=127.0.0.1:0",
		"PUSHCART_WHIP_UDP_ADDRESS=127.0.0.1:0", "PUSHCART_WHIP_TCP_ADDRESS=127.0.0.1:0",
		"PUSHCART_LOG_FORMAT=json", "PUSHCART_LADDER_FFMPEG=", // but for the row that measures it
	}, env...)
	c, err := start(ctx, true, env, binary, "serve")
	if err != nil {
		return nil, err
	}
	n := &node{child: c}
	line, err := c.await(ctx, startTimeout, func(line string) bool { return strings.Contains(line, `"pushcart is up"`) })
	if err == nil {
		err = json.Unmarshal([]byte(line), n)
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return n, nil
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
	b, _, err := get(n.Admin, "/metrics")
	if err != nil {
		return 0, err
	}
	s := bufio.NewScanner(strings.NewReader(string(b)))
	for s.Scan() {
		if v, ok := strings.CutPrefix(s.Text(), series+" "); ok {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, fmt.Errorf("the node has no metric %s", series)
}

// live waits until so many streams are.
func (n *node) live(ctx context.Context, streams int) error {
	return until(ctx, startTimeout, fmt.Sprintf("%d live streams", streams), func() (bool, error) {
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
