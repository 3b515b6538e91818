package load

import (
	"bufio"
	"bytes"
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

// Node is a node of the project's own, in a process of its own.
type Node struct {
	*Process `json:"-"`
	// Addresses that it listens on, host:port.
	RTMP  string `json:"rtmp"`
	HTTP  string `json:"http"`
	Admin string `json:"admin"`
	RTSP  string `json:"rtsp"`
	SRT   string `json:"srt"`
	WHIP  string `json:"whip-udp"`
}

// StartNode runs a node's program on free ports of the loopback interface, with its data in a folder, and default settings but for
// the given ones, KEY=VALUE as in its environment. It makes no ladder, unless they say so.
func StartNode(ctx context.Context, binary, data string, env ...string) (*Node, error) {
	env = append([]string{
		"PUSHCART_DATA_DIRECTORY=" + data,
		"PUSHCART_RTMP_ADDRESS=127.0.0.1:0", "PUSHCART_HTTP_ADDRESS=127.0.0.1:0", "PUSHCART_ADMIN_ADDRESS=127.0.0.1:0",
		"PUSHCART_RTSP_ADDRESS=127.0.0.1:0", "PUSHCART_RTSP_UDP_ADDRESS=127.0.0.1:0", "PUSHCART_SRT_ADDRESS=127.0.0.1:0",
		"PUSHCART_WHIP_UDP_ADDRESS=127.0.0.1:0", "PUSHCART_WHIP_TCP_ADDRESS=127.0.0.1:0",
		"PUSHCART_LOG_FORMAT=json", "PUSHCART_LADDER_FFMPEG=",
		"PUSHCART_DRAIN_TIMEOUT=0s", // nobody is to be served to the end
	}, env...)
	p, err := Start(ctx, StartOptions{Program: binary, Args: []string{"serve"}, Env: env, FromStderr: true, Other: os.Stderr})
	if err != nil {
		return nil, err
	}
	n := &Node{Process: p}
	line, err := p.Await(ctx, StartTimeout, func(line string) bool { return strings.Contains(line, `"pushcart is up"`) })
	if err == nil {
		err = json.Unmarshal([]byte(line), n)
	}
	if err != nil {
		p.Stop()
		return nil, err
	}
	return n, nil
}

// Limits of a page of metrics.
const (
	metricsTimeout = 10 * time.Second
	maxMetrics     = 32 << 20
)

// metricsClient asks for metrics, which are never redirected elsewhere.
var metricsClient = &http.Client{
	Transport: &http.Transport{}, Timeout: metricsTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Metrics reads series off a Prometheus page, each named with its labels as the page prints it. One that is not there is an error.
func Metrics(ctx context.Context, page string, series ...string) ([]float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	a, err := metricsClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, maxMetrics))
	if err != nil {
		return nil, err
	}
	if a.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", page, a.Status)
	}
	values := make([]float64, len(series))
	found := 0
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, maxLine)
	for s.Scan() {
		for i, name := range series {
			if v, ok := strings.CutPrefix(s.Text(), name+" "); ok {
				v, _, _ = strings.Cut(v, " ") // a timestamp may follow
				if values[i], err = strconv.ParseFloat(v, 64); err != nil {
					return nil, fmt.Errorf("%s: %s is %q", page, name, v)
				}
				found++
			}
		}
	}
	if found < len(series) {
		return nil, fmt.Errorf("%s has not all of the metrics %s", page, strings.Join(series, ", "))
	}
	return values, nil
}
