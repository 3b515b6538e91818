package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pushcart/overlay/api"
)

// Bounds of a request to the node.
const (
	askTimeout = 30 * time.Second
	// askAgain is how long after a broken connection the request is sent once more.
	askAgain  = 300 * time.Millisecond
	maxAnswer = 16 << 20 // bytes
)

// nodeClient asks a node's API, mostly about one stream.
type nodeClient struct {
	base   string // without a slash at the end
	stream string // "" where no single one is meant
	token  string
	http   *http.Client
}

func newNodeClient(address string) (*nodeClient, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--url: %q is not an address such as %s", address, defaultURL)
	}
	return &nodeClient{
		base: strings.TrimSuffix(u.String(), "/"),
		http: &http.Client{
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment},
			// The token is for this node alone.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// streamURL is the address of something of the stream's.
func (c *nodeClient) streamURL(path string) string {
	return c.base + "/api/v1/streams/" + url.PathEscape(c.stream) + path
}

// ask sends a request about the stream and returns the body of the answer.
func (c *nodeClient) ask(ctx context.Context, method, path string, body []byte, header http.Header) ([]byte, error) {
	return c.send(ctx, method, c.streamURL(path), body, header)
}

// send sends a request with the token and returns the body of the answer. What changes something has an idempotency key, so
// that it can be sent once more when the connection breaks: the node carries it out once. What changes a source needs none, since
// it is the same as often as it is sent.
func (c *nodeClient) send(ctx context.Context, method, address string, body []byte, header http.Header) ([]byte, error) {
	h := header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if method != http.MethodGet {
		h.Set("Idempotency-Key", rand.Text())
	}
	h.Set("Authorization", "Bearer "+c.token)
	return c.twice(ctx, method, address, body, h)
}

// twice sends a request, and once more when it was not answered.
func (c *nodeClient) twice(ctx context.Context, method, address string, body []byte, h http.Header) ([]byte, error) {
	answer, err := c.once(ctx, method, address, body, h)
	var refused *refusedError
	if err == nil || errors.As(err, &refused) {
		return answer, err
	}
	pause := time.NewTimer(askAgain)
	defer pause.Stop()
	select {
	case <-pause.C:
		return c.once(ctx, method, address, body, h)
	case <-ctx.Done():
		return nil, err
	}
}

func (c *nodeClient) once(ctx context.Context, method, address string, body []byte, h http.Header) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = h.Clone()
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the answer of the node at %s ended in the middle: %w", c.base, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, refused(response, answer)
	}
	return answer, nil
}

// refusedError is an answer that says no: the same request would get it again.
type refusedError struct {
	status  int
	message string
}

// Error implements error.
func (e *refusedError) Error() string { return e.message }

// refused words an answer that says no.
func refused(r *http.Response, body []byte) *refusedError {
	e := &refusedError{status: r.StatusCode}
	var p api.Problem
	if json.Unmarshal(body, &p) == nil && p.Detail != "" {
		e.message = p.Error()
	} else {
		e.message = fmt.Sprintf("%s answers %s: is it a Pushcart node?", r.Request.URL.Host, r.Status)
	}
	return e
}

// onlyStream returns the name of the stream that is live, where it is one.
func (c *nodeClient) onlyStream(ctx context.Context) (string, error) {
	// With the token, since streams that are played by signed addresses only are not named to everybody.
	answer, err := c.send(ctx, http.MethodGet, c.base+"/api/v1/streams", nil, nil)
	if err != nil {
		return "", err
	}
	var list api.StreamList
	if err := json.Unmarshal(answer, &list); err != nil {
		return "", fmt.Errorf("the answer of the node at %s cannot be read: %w", c.base, err)
	}
	names := make([]string, len(list.Streams))
	for i, s := range list.Streams {
		names[i] = s.Name
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("no stream is live: %w", errNoStream)
	case 1:
		return names[0], nil
	}
	return "", fmt.Errorf("several streams are live (%s): %w", strings.Join(names, ", "), errNoStream)
}
