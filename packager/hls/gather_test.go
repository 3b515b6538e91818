package hls

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// TestGatheredResponsesAreWhole: whatever its size, a response arrives as it was written, on a connection that serves many.
func TestGatheredResponsesAreWhole(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 3000, 4096, 8191, 8192, 8193, 12288, 40000, 400000}
	bodies := map[string][]byte{}
	for _, n := range sizes {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i * 7 / 3)
		}
		bodies[fmt.Sprintf("/%d", n)] = b
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := bodies[r.URL.Path]
		w.Header()["Content-Length"] = []string{fmt.Sprint(len(b))}
		if r.Method == http.MethodHead {
			return
		}
		if n, err := write(w, r, b); n != len(b) || err != nil {
			t.Errorf("%s: wrote %d of %d: %v", r.URL.Path, n, len(b), err)
		}
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: handler, ConnContext: GatherContext, Protocols: protocols}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(GatherListener(l)) }()
	t.Cleanup(func() {
		s.Close()
		<-done
	})

	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	for name, client := range map[string]*http.Client{
		"HTTP/1.1": {Transport: &http.Transport{}}, "HTTP/2": {Transport: &http.Transport{Protocols: h2}},
	} {
		t.Cleanup(client.CloseIdleConnections)
		for range 3 { // on one connection, one after another
			for path, want := range bodies {
				r, err := client.Get("http://" + l.Addr().String() + path)
				if err != nil {
					t.Fatalf("%s %s: %v", name, path, err)
				}
				got, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s %s: %d bytes, want %d: %v", name, path, len(got), len(want), err)
				}
			}
		}
	}
}
