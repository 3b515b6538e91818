package front

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

// quietWriter is a writer without a recorder's costs.
type quietWriter struct{ h http.Header }

func (w quietWriter) Header() http.Header         { return w.h }
func (w quietWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w quietWriter) WriteHeader(int)             {}

// BenchmarkHandler is what the front costs each request: with everything off nothing is allocated.
func BenchmarkHandler(b *testing.B) {
	opened := []string{"*"}
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Access-Control-Allow-Origin"] = opened
		w.WriteHeader(http.StatusOK)
	})
	cdn := Settings{CDNSecrets: []string{newSecret, oldSecret}, CountryHeader: "CF-IPCountry"}
	for _, c := range []struct {
		name    string
		s       Settings
		remote  string
		headers []string
	}{
		{"Bare", Settings{}, "198.51.100.7:4711", nil},
		{"Off", Settings{}, "198.51.100.7:4711", nil},
		{"TrustedButDirect", Settings{TrustedProxies: networks("10.0.0.0/8", "fd00::/8")}, "198.51.100.7:4711", nil},
		{"SecretsButDirect", cdn, "198.51.100.7:4711", nil},
		{"Proxy", Settings{TrustedProxies: networks("10.0.0.0/8", "fd00::/8")}, "10.0.0.1:4711", []string{"X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "https"}},
		{"ProxyForwarded", Settings{TrustedProxies: networks("10.0.0.0/8")}, "10.0.0.1:4711", []string{"Forwarded", `for="198.51.100.7:99";proto=https, for=10.1.1.1`}},
		{"CDN", cdn, "203.0.113.1:4711", []string{"Pushcart-CDN", oldSecret, "X-Forwarded-For", "198.51.100.7", "CF-IPCountry", "DE"}},
		{"OneOrigin", Settings{AllowedOrigins: []string{"https://a.example"}}, "198.51.100.7:4711", []string{"Origin", "https://a.example"}},
		{"Origins", Settings{AllowedOrigins: []string{"https://a.example", "https://*.b.example"}}, "198.51.100.7:4711", []string{"Origin", "https://shop.b.example"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := start(b, c.s)
			var h http.Handler = f.Handler(next)
			if c.name == "Bare" {
				h = next
			}
			r := httptest.NewRequest("GET", "/live/show/video.m3u8", nil)
			for _, kv := range [][2]string{{"User-Agent", "x"}, {"Accept", "*/*"}, {"Accept-Encoding", "gzip"}, {"Referer", "https://a.example/"}, {"Accept-Language", "de"}} {
				r.Header.Set(kv[0], kv[1])
			}
			with(c.headers...)(r)
			header := r.Header.Clone()
			w := quietWriter{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				r.RemoteAddr = c.remote
				for i := 0; i < len(c.headers); i += 2 { // what was taken out is there again
					k := canonical(c.headers[i])
					r.Header[k] = header[k]
				}
				clear(w.h)
				h.ServeHTTP(w, r)
			}
		})
	}
}

// TestHandlerAllocates: nothing, for requests that are neither a CDN's nor a proxy's.
func TestHandlerAllocates(t *testing.T) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for name, s := range map[string]Settings{
		"off": {}, "proxies": {TrustedProxies: networks("10.0.0.0/8", "fd00::/8")}, "CDN": {CDNSecrets: []string{newSecret}, CountryHeader: "CF-IPCountry"},
	} {
		h := start(t, s).Handler(next)
		r := httptest.NewRequest("GET", "/live/show/video.m3u8", nil)
		r.RemoteAddr = "198.51.100.7:4711"
		w := quietWriter{http.Header{}}
		if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkConnections is what connections cost that do nothing: heap, stacks and what the runtime keeps, of the server's side and
// the client's socket. KB/conn is to be had with -benchtime 4000x or so.
func BenchmarkConnections(b *testing.B) {
	for _, c := range []struct {
		name   string
		secure bool
		begin  func(*edge, net.Conn) // nil: nothing is sent
	}{
		{"Silent", false, nil},
		{"KeptAlive", false, func(_ *edge, c net.Conn) { get(b, c, "/") }},
		{"HalfOpenTLS", true, nil},
		{"HalfOpenTLSHello", true, func(_ *edge, c net.Conn) { c.Write([]byte{22, 3, 1, 64, 0, 1, 0, 63, 250}) }},
		{"IdleTLS", true, func(e *edge, c net.Conn) { tls.Client(c, e.client("http/1.1")).Handshake() }},
		{"IdleHTTP2", true, func(e *edge, c net.Conn) {
			s := tls.Client(c, e.client("h2"))
			fmt.Fprint(s, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := serve(b, Settings{HandshakeTimeout: time.Hour}, c.secure, nil)
			e.server.IdleTimeout, e.server.ReadHeaderTimeout = time.Hour, time.Hour
			before := used()
			conns := make([]net.Conn, 0, b.N)
			for i := range b.N {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/10000))}}
				conn, err := d.Dial("tcp", e.address)
				if err != nil {
					b.Fatal(err)
				}
				if c.begin != nil {
					c.begin(e, conn)
				}
				conns = append(conns, conn)
			}
			until(b, "all are in", func() bool { open, _ := e.places.counts(); return open == b.N })
			b.ReportMetric(float64(used()-before)/1024/float64(b.N), "KB/conn")
			for _, conn := range conns {
				conn.Close()
			}
			until(b, "all are gone", func() bool { open, _ := e.places.counts(); return open == 0 })
		})
	}
}

// used is the memory in use behind a collection.
func used() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func BenchmarkPlaces(b *testing.B) {
	p := &policy{Settings: Settings{MaxConnections: 20000, MaxConnectionsPerAddress: 2000}}
	var s places
	from := addr("2001:db8::1")
	b.ReportAllocs()
	for b.Loop() {
		s.take(from, p, true)
		s.handshaken(from)
		s.leave(from)
	}
}
