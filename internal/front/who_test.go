package front

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	oldSecret = "the-old-secret-of-the-cdn"
	newSecret = "the-new-secret-of-the-cdn"
)

func networks(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// start makes a front with settings.
func start(t testing.TB, s Settings, opt ...func(*Options)) *Front {
	t.Helper()
	o := Options{Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}
	for _, f := range opt {
		f(&o)
	}
	f, err := New(o, s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// seen is what a handler behind the front gets to know.
type seen struct {
	remote, country string
	client          netip.Addr
	trusted, secure bool
	header          http.Header
}

// ask sends a request from an address through the front.
func ask(f *Front, remote string, change func(*http.Request)) (s seen) {
	r := httptest.NewRequest("GET", "/live/show/index.m3u8", nil)
	r.RemoteAddr = remote
	if change != nil {
		change(r)
	}
	f.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s = seen{r.RemoteAddr, f.Country(r), Client(r), Trusted(r), f.policy.Load().secure(r), r.Header}
	})).ServeHTTP(httptest.NewRecorder(), r)
	return s
}

func with(headers ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
}

// TestViewer: who the viewer is, from the right and through trusted hops only. A chain that was made up to be somebody else, or to
// be nobody, leaves the viewer with the last address that a trusted proxy has seen.
func TestViewer(t *testing.T) {
	t.Parallel()
	f := start(t, Settings{TrustedProxies: networks("10.0.0.0/8", "::ffff:192.168.0.0/112", "fd00::/8", "127.0.0.1/32")})
	const proxy = "10.0.0.1:4000"
	for _, c := range []struct {
		name, remote string
		headers      []string
		want         string
	}{
		{"nobody's word", proxy, nil, proxy},
		{"one proxy", proxy, []string{"X-Forwarded-For", "198.51.100.7"}, "198.51.100.7:0"},
		{"with a port", proxy, []string{"X-Forwarded-For", "198.51.100.7:5123"}, "198.51.100.7:5123"},
		{"two proxies", proxy, []string{"X-Forwarded-For", "198.51.100.7, 10.1.1.1"}, "198.51.100.7:0"},
		{"three lines", proxy, []string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-For", "198.51.100.7", "X-Forwarded-For", "10.1.1.1,10.2.2.2"}, "198.51.100.7:0"},
		{"spoofed on the left", proxy, []string{"X-Forwarded-For", "10.9.9.9, 203.0.113.9, 198.51.100.7"}, "198.51.100.7:0"},
		{"spoofed as a proxy", proxy, []string{"X-Forwarded-For", "10.9.9.9"}, "10.9.9.9:0"},
		{"from an untrusted peer", "198.51.100.1:99", []string{"X-Forwarded-For", "203.0.113.9", "Forwarded", "for=203.0.113.9"}, "198.51.100.1:99"},
		{"garbage behind a hop", proxy, []string{"X-Forwarded-For", "junk, 10.1.1.1"}, "10.1.1.1:0"},
		{"garbage", proxy, []string{"X-Forwarded-For", "junk"}, proxy},
		{"empty entry", proxy, []string{"X-Forwarded-For", "203.0.113.9, "}, proxy},
		{"unknown", proxy, []string{"X-Forwarded-For", "unknown"}, proxy},
		{"port out of range", proxy, []string{"X-Forwarded-For", "198.51.100.7:65536"}, proxy},
		{"IPv6", proxy, []string{"X-Forwarded-For", "2001:db8::7"}, "[2001:db8::7]:0"},
		{"IPv6 in brackets", proxy, []string{"X-Forwarded-For", "[2001:db8::7]:5"}, "[2001:db8::7]:5"},
		{"IPv6 with a zone", proxy, []string{"X-Forwarded-For", "fe80::1%eth0"}, "[fe80::1]:0"},
		{"IPv4 in IPv6", proxy, []string{"X-Forwarded-For", "::ffff:198.51.100.7"}, "198.51.100.7:0"},
		{"a proxy in IPv6 clothes", "[::ffff:10.0.0.1]:4000", []string{"X-Forwarded-For", "198.51.100.7"}, "198.51.100.7:0"},
		{"a trusted network in IPv6 clothes", "192.168.3.4:1", []string{"X-Forwarded-For", "198.51.100.7"}, "198.51.100.7:0"},
		{"a proxy with a zone", "[fd00::1%lo]:4000", []string{"X-Forwarded-For", "198.51.100.7"}, "198.51.100.7:0"},
		{"brackets without an IPv6 address", proxy, []string{"X-Forwarded-For", "[198.51.100.7]:1"}, proxy},
		{"100 KB of hops", proxy, []string{"X-Forwarded-For", strings.Repeat("10.1.1.1,", 11000) + "198.51.100.7"}, "198.51.100.7:0"},
		{"a circle", proxy, []string{"X-Forwarded-For", "203.0.113.9" + strings.Repeat(",10.1.1.1", 11000)}, "10.1.1.1:0"},

		{"Forwarded", proxy, []string{"Forwarded", "for=198.51.100.7"}, "198.51.100.7:0"},
		{"Forwarded in full", proxy, []string{"Forwarded", `by=_x;For="198.51.100.7:99";host=live.example;proto=https`}, "198.51.100.7:99"},
		{"Forwarded IPv6", proxy, []string{"Forwarded", `for="[2001:db8:cafe::17]:4711"`}, "[2001:db8:cafe::17]:4711"},
		{"Forwarded chain", proxy, []string{"Forwarded", `for=203.0.113.9, for="198.51.100.7", for=10.1.1.1`}, "198.51.100.7:0"},
		{"Forwarded lines", proxy, []string{"Forwarded", "for=198.51.100.7", "Forwarded", "for=10.1.1.1"}, "198.51.100.7:0"},
		{"Forwarded hidden", proxy, []string{"Forwarded", "for=_gazonk"}, proxy},
		{"Forwarded unknown behind a hop", proxy, []string{"Forwarded", "for=unknown, for=10.1.1.1"}, "10.1.1.1:0"},
		{"Forwarded hidden port", proxy, []string{"Forwarded", `for="198.51.100.7:_p"`}, "198.51.100.7:0"},
		{"Forwarded with a comma in quotes", proxy, []string{"Forwarded", `for=203.0.113.9;host="a, for=10.1.1.1", for=198.51.100.7`}, "198.51.100.7:0"},
		{"Forwarded with an open quote", proxy, []string{"Forwarded", `for=203.0.113.9;host=", for=198.51.100.7`}, proxy},
		{"Forwarded that would swallow the proxy's word", proxy, []string{"Forwarded", `for=203.0.113.9;host=", for="[2001:db8::1]:4711"`}, proxy},
		{"Forwarded twice for", proxy, []string{"Forwarded", "for=203.0.113.9;for=198.51.100.7"}, proxy},
		{"Forwarded without for", proxy, []string{"Forwarded", "proto=https"}, proxy},
		{"Forwarded and what is no pair", proxy, []string{"Forwarded", "for"}, proxy},
		{"100 KB of Forwarded", proxy, []string{"Forwarded", strings.Repeat("for=10.1.1.1,", 8000) + "for=198.51.100.7"}, "198.51.100.7:0"},

		{"both agree", proxy, []string{"X-Forwarded-For", "198.51.100.7", "Forwarded", "for=198.51.100.7"}, "198.51.100.7:0"},
		{"both differ", proxy, []string{"X-Forwarded-For", "198.51.100.7", "Forwarded", "for=203.0.113.9"}, proxy},
		{"Forwarded made up beside the proxy's own header", proxy, []string{"Forwarded", "for=203.0.113.9", "X-Forwarded-For", "10.9.9.9, 198.51.100.7"}, proxy},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := ask(f, c.remote, with(c.headers...))
			if s.remote != c.want {
				t.Errorf("the viewer is %s, want %s", s.remote, c.want)
			}
			if at, err := netip.ParseAddrPort(s.remote); err != nil || s.client != at.Addr().WithZone("").Unmap() {
				t.Errorf("Client is %v of %s", s.client, s.remote)
			}
			if len(s.header["Forwarded"])+len(s.header["X-Forwarded-For"]) > 0 {
				t.Errorf("handlers get %v", s.header)
			}
			if s.trusted {
				t.Error("a proxy vouches for nobody")
			}
		})
	}
}

// TestThisHost: a program of this host may do what others may not, where nothing is configured. Whoever comes by a proxy that runs on
// this host is no such program unless the proxy is believed and says so.
func TestThisHost(t *testing.T) {
	t.Parallel()
	none, local := start(t, Settings{}), start(t, Settings{TrustedProxies: networks("127.0.0.0/8", "::1/128")})
	secret := start(t, Settings{CDNSecrets: []string{newSecret}})
	const here = "127.0.0.1:4000"
	for _, c := range []struct {
		name    string
		f       *Front
		remote  string
		headers []string
		want    string
	}{
		{"a program", none, here, nil, here},
		{"a program, and a proxy is believed", local, here, nil, here},
		{"by a proxy that is not believed", none, here, []string{"X-Forwarded-For", "198.51.100.7"}, "0.0.0.0:0"},
		{"which says that it is this host", none, here, []string{"X-Forwarded-For", "127.0.0.1"}, "0.0.0.0:0"},
		{"by one that tells the protocol alone", none, here, []string{"X-Forwarded-Proto", "https"}, "0.0.0.0:0"},
		{"as before, where it is believed", local, here, []string{"X-Forwarded-Proto", "https"}, "0.0.0.0:0"},
		{"IPv6", none, "[::1]:4000", []string{"Forwarded", "for=198.51.100.7"}, "0.0.0.0:0"},
		{"a mapped address", none, "[::ffff:127.0.0.1]:4000", []string{"Forwarded", "for=198.51.100.7"}, "0.0.0.0:0"},
		{"where only a secret is believed", secret, here, []string{"X-Forwarded-For", "198.51.100.7"}, "0.0.0.0:0"},
		{"from elsewhere", none, "198.51.100.1:99", []string{"X-Forwarded-For", "127.0.0.1"}, "198.51.100.1:99"},
		{"by one that is", local, here, []string{"X-Forwarded-For", "198.51.100.7"}, "198.51.100.7:0"},
		{"a program by one that is", local, here, []string{"X-Forwarded-For", "127.0.0.1"}, "127.0.0.1:0"},
		{"made up to differ", local, here, []string{"Forwarded", "for=203.0.113.9", "X-Forwarded-For", "198.51.100.7"}, "0.0.0.0:0"},
		{"made up to be nothing", local, here, []string{"Forwarded", "junk"}, "0.0.0.0:0"},
		{"made up to be nothing behind a hop", local, here, []string{"X-Forwarded-For", "junk, 127.0.0.1"}, "127.0.0.1:0"},
	} {
		if s := ask(c.f, c.remote, with(c.headers...)); s.remote != c.want {
			t.Errorf("%s: %s, want %s", c.name, s.remote, c.want)
		}
	}
}

// TestProto: by what the viewer came counts from a trusted proxy only.
func TestProto(t *testing.T) {
	t.Parallel()
	trusting := start(t, Settings{TrustedProxies: networks("10.0.0.0/8")})
	trustless := start(t, Settings{})
	for _, c := range []struct {
		name, remote string
		f            *Front
		headers      []string
		header       string
		secure       bool
	}{
		{"proxy", "10.0.0.1:1", trusting, []string{"X-Forwarded-Proto", "HTTPS"}, "https", true},
		{"proxy in clear", "10.0.0.1:1", trusting, []string{"X-Forwarded-Proto", "http"}, "http", false},
		{"list", "10.0.0.1:1", trusting, []string{"X-Forwarded-Proto", "https", "X-Forwarded-Proto", "https, http"}, "http", false},
		{"other", "10.0.0.1:1", trusting, []string{"X-Forwarded-Proto", `javascript:"`}, "", false},
		{"Forwarded", "10.0.0.1:1", trusting, []string{"X-Forwarded-Proto", "http", "Forwarded", "for=198.51.100.7;proto=https"}, "https", true},
		{"anybody", "198.51.100.1:1", trusting, []string{"X-Forwarded-Proto", "https"}, "", false},
		{"nobody is trusted", "198.51.100.1:1", trustless, []string{"X-Forwarded-Proto", "https"}, "https", false},
	} {
		s := ask(c.f, c.remote, with(c.headers...))
		if got := s.header.Get("X-Forwarded-Proto"); got != c.header || s.secure != c.secure {
			t.Errorf("%s: the header is %q, secure %v", c.name, got, s.secure)
		}
	}
	if s := ask(trustless, "198.51.100.1:1", func(r *http.Request) { r.TLS = &tls.ConnectionState{} }); !s.secure {
		t.Error("TLS of our own does not count")
	}
}

// TestCDN: a CDN is who knows a secret, the old one or the new one, or has a certificate that was verified.
func TestCDN(t *testing.T) {
	t.Parallel()
	f := start(t, Settings{CDNSecrets: []string{newSecret, oldSecret}, CountryHeader: "cf-ipcountry"})
	verified := func(r *http.Request) {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	}
	const cdn = "203.0.113.200:1"
	for _, c := range []struct {
		name    string
		change  func(*http.Request)
		trusted bool
		remote  string
		country string
	}{
		{"new", with("Pushcart-CDN", newSecret, "X-Forwarded-For", "198.51.100.7", "CF-IPCountry", "de"), true, "198.51.100.7:0", "DE"},
		{"old", with("pushcart-cdn", oldSecret, "CF-IPCountry", "FR"), true, cdn, "FR"},
		{"its viewer cannot go further back", with("Pushcart-CDN", newSecret, "X-Forwarded-For", "1.2.3.4, 198.51.100.7"), true, "198.51.100.7:0", ""},
		{"certificate", func(r *http.Request) { verified(r); with("X-Forwarded-For", "198.51.100.7", "CF-IPCountry", "DE")(r) }, true, "198.51.100.7:0", "DE"},
		{"a beginning", with("Pushcart-CDN", newSecret[:20], "X-Forwarded-For", "198.51.100.7", "CF-IPCountry", "DE"), false, cdn, ""},
		{"more", with("Pushcart-CDN", newSecret+"x"), false, cdn, ""},
		{"other case", with("Pushcart-CDN", strings.ToUpper(newSecret)), false, cdn, ""},
		{"empty", with("Pushcart-CDN", ""), false, cdn, ""},
		{"two values", with("Pushcart-CDN", newSecret, "Pushcart-CDN", newSecret), false, cdn, ""},
		{"both in one", with("Pushcart-CDN", newSecret+","+oldSecret), false, cdn, ""},
		{"100 KB", with("Pushcart-CDN", strings.Repeat(newSecret, 4000)), false, cdn, ""},
		{"none", with("CF-IPCountry", "DE"), false, cdn, ""},
		{"unverified certificate", func(r *http.Request) { r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}} }, false, cdn, ""},
	} {
		s := ask(f, cdn, c.change)
		if s.trusted != c.trusted || s.remote != c.remote || s.country != c.country {
			t.Errorf("%s: %+v", c.name, s)
		}
		if _, there := s.header["Pushcart-Cdn"]; there {
			t.Errorf("%s: handlers get the secret", c.name)
		}
		if _, there := s.header["Cf-Ipcountry"]; there && !c.trusted {
			t.Errorf("%s: handlers get a country that anybody may have made up", c.name)
		}
	}
	if wrong := value(t, f.metrics.wrongSecrets); wrong != 7 {
		t.Errorf("%v wrong secrets were counted", wrong)
	}
	// The old one is taken out of use.
	if err := f.Configure(Settings{CDNSecrets: []string{newSecret}}); err != nil {
		t.Fatal(err)
	}
	if ask(f, cdn, with("Pushcart-CDN", oldSecret)).trusted || !ask(f, cdn, with("Pushcart-CDN", newSecret)).trusted {
		t.Error("changed secrets are not in force")
	}
}

// TestSecretNotUsed: the header goes nowhere, even when there is no secret, and opens nothing.
func TestSecretNotUsed(t *testing.T) {
	t.Parallel()
	s := ask(start(t, Settings{}), "198.51.100.1:1", with("Pushcart-CDN", ""))
	if _, there := s.header["Pushcart-Cdn"]; there || s.trusted {
		t.Errorf("%+v", s)
	}
}

// TestCountry: where nobody is trusted the header stays for routing, as anybody may send it, and counts as unknown here.
func TestCountry(t *testing.T) {
	t.Parallel()
	open := start(t, Settings{CountryHeader: "CF-IPCountry"})
	if s := ask(open, "198.51.100.1:1", with("CF-IPCountry", "DE")); s.country != "" || s.header.Get("CF-IPCountry") != "DE" {
		t.Errorf("without trust: %+v", s)
	}
	f := start(t, Settings{CountryHeader: "CF-IPCountry", TrustedProxies: networks("10.0.0.0/8")})
	for text, want := range map[string]string{
		"DE": "DE", "de": "DE", "dE": "DE", "XX": "", "T1": "", "D": "", "DEU": "", "": "", "D\x00": "", "[]": "", "{}": "",
	} {
		if s := ask(f, "10.0.0.1:1", with("CF-IPCountry", text)); s.country != want {
			t.Errorf("%q is %q", text, s.country)
		}
	}
	if s := ask(f, "10.0.0.1:1", with("CF-IPCountry", "DE", "CF-IPCountry", "FR")); s.country != "" {
		t.Errorf("two countries are %q", s.country)
	}
	if s := ask(f, "198.51.100.1:1", with("CF-IPCountry", "DE")); s.country != "" || s.header.Get("CF-IPCountry") != "" {
		t.Errorf("from anybody: %+v", s)
	}
}

// TestStrangeAddress: a peer without an IP address, as on a socket of the file system, is nobody.
func TestStrangeAddress(t *testing.T) {
	t.Parallel()
	f := start(t, Settings{TrustedProxies: networks("0.0.0.0/0", "::/0")})
	for _, remote := range []string{"", "@", "pipe", "1.2.3.4", "[::1"} {
		if s := ask(f, remote, with("X-Forwarded-For", "198.51.100.7")); s.remote != remote || s.client.IsValid() {
			t.Errorf("%q: %+v", remote, s)
		}
	}
}

func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"", "for=192.0.2.43", `For="[2001:db8:cafe::17]:4711"`, "for=192.0.2.60;proto=http;by=203.0.113.43", "for=192.0.2.43, for=198.51.100.17",
		`for=_hidden, for=unknown`, `for="a\"b";host="x, for=10.0.0.1", for=10.0.0.2`, `for="`, ";;,,;for=1.2.3.4;", "for=[::1]", "for = 1.2.3.4", "for=1.2.3.4 x",
		"10.0.0.1, 198.51.100.7", "10.0.0.1:80,[fe80::1%eth0]:5,::ffff:1.2.3.4", "fe80::1%25eth0", ", ,", strings.Repeat("for=10.0.0.1,", 40),
	} {
		f.Add(s, s)
	}
	p := &policy{networks: networks("10.0.0.0/8")}
	peer := netip.MustParseAddrPort("10.0.0.1:1")
	f.Fuzz(func(t *testing.T, a, b string) {
		viewer, _ := p.viewerOfForwarded([]string{a, b}, peer)
		check := func(what string, at netip.AddrPort) {
			if !at.IsValid() || at.Addr().Zone() != "" || at.Addr().Is4In6() {
				t.Errorf("%s of %q, %q is %v", what, a, b, at)
			}
			if again, err := netip.ParseAddrPort(at.String()); err != nil || again != at {
				t.Errorf("%s cannot be read again: %v", at, err)
			}
		}
		check("Forwarded", viewer)
		// What a proxy adds behind whatever a viewer sent is what counts, or nothing does.
		for _, line := range []string{a + ", for=198.51.100.7", a + `, for="198.51.100.7:99";proto=https`} {
			if at, _ := p.viewerOfForwarded([]string{b, line}, peer); at.Addr() != netip.MustParseAddr("198.51.100.7") && at != peer {
				t.Errorf("Forwarded %q made %v of the viewer", line, at)
			}
		}
		check("X-Forwarded-For", p.viewerOfChain([]string{a, b}, peer))
		if at := p.viewerOfChain([]string{b, a + ", 198.51.100.7"}, peer); at.String() != "198.51.100.7:0" {
			t.Errorf("X-Forwarded-For %q made %v of the viewer", a, at)
		}
	})
}
