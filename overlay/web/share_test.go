package web

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// shareable is a tree with a watch page as it is built.
func shareable() fstest.MapFS {
	return fstest.MapFS{"watch.html": {Data: []byte("<!doctype html><head>" + shareMark + "</head>" + strings.Repeat("<p>watch</p>", 100))}}
}

// TestShare: each stream's watch page has the whole address of its poster, and an entity tag of its own.
func TestShare(t *testing.T) {
	t.Parallel()
	s := pages(shareable())
	tags := map[string]string{}
	for target, want := range map[string]string{
		"http://live.example/watch/show":      "http://live.example/live/show/poster.jpg",
		"http://live.example/watch/other-1":   "http://live.example/live/other-1/poster.jpg",
		"http://127.0.0.1:8080/watch/show":    "http://127.0.0.1:8080/live/show/poster.jpg",
		"http://[2001:db8::1]:8080/watch/a_b": "http://[2001:db8::1]:8080/live/a_b/poster.jpg",
	} {
		r := get(s, target)
		page := string(body(t, r))
		for _, tag := range []string{`<meta property="og:image" content="` + want + `" />`, `<meta name="twitter:image" content="` + want + `" />`} {
			if !strings.Contains(page, tag) {
				t.Errorf("%s: no %s in %s", target, tag, page)
			}
		}
		tag := r.Header.Get("ETag")
		if other := tags[tag]; other != "" || r.Header.Get("Cache-Control") != cachePage {
			t.Errorf("%s has the entity tag of %s, or cannot be kept: %v", target, other, r.Header)
		}
		tags[tag] = target
		if again := get(s, target, "If-None-Match", tag); again.StatusCode != 304 {
			t.Errorf("%s, seen before: %d", target, again.StatusCode)
		}
		if zipped := get(s, target, "Accept-Encoding", "gzip"); zipped.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s is not compressed", target)
		}
	}
}

// TestShareScheme: behind a proxy that ends TLS, and with TLS of our own, the address is an https one.
func TestShareScheme(t *testing.T) {
	t.Parallel()
	s := pages(shareable())
	for forwarded, want := range map[string]string{"https": "https", "HTTPS": "https", "http": "http", `javascript:"`: "http", "": "http"} {
		if page := body(t, get(s, "http://live.example/watch/show", "X-Forwarded-Proto", forwarded)); !bytes.Contains(page, []byte(`"`+want+`://live.example/live/show/poster.jpg"`)) {
			t.Errorf("%q: %s", forwarded, page)
		}
	}
	r := httptest.NewRequest("GET", "/watch/show", nil)
	r.TLS, r.Host = &tls.ConnectionState{}, "live.example"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if !strings.Contains(w.Body.String(), `"https://live.example/live/show/poster.jpg"`) {
		t.Errorf("%s", w.Body)
	}
}

// TestShareNothing: with a name or a host that could be anything, the page is as it was built.
func TestShareNothing(t *testing.T) {
	t.Parallel()
	tree := shareable()
	s := pages(tree)
	built := string(tree["watch.html"].Data)
	for _, name := range []string{"%E7%9B%B4", "a%22%3E%3Cscript%3E", "-a", "a.b", strings.Repeat("a", 65)} {
		if page := string(body(t, get(s, "http://live.example/watch/"+name))); page != built {
			t.Errorf("%s: %s", name, page)
		}
	}
	for _, host := range []string{"", `a"b`, "a/b", "a b", "a<", "-a", "a:b", "a:123456", "[::1", "user@host", "a..b\r\n"} {
		r := httptest.NewRequest("GET", "/watch/show", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Body.String() != built {
			t.Errorf("host %q: %s", host, w.Body)
		}
	}
}

// TestShareBound: however many names are asked for, few pages are kept.
func TestShareBound(t *testing.T) {
	t.Parallel()
	each := &shared{page: newFile("watch.html", shareable()["watch.html"].Data), prefix: func(*http.Request) string { return "" }, made: map[string]*file{}}
	for i := range 3 * maxShared {
		r := httptest.NewRequest("GET", "/watch/x", nil)
		r.SetPathValue("name", fmt.Sprintf("show%d", i))
		if f := each.of(r); !bytes.Contains(f.plain, fmt.Appendf(nil, "/live/show%d/poster.jpg", i)) {
			t.Fatalf("%s", f.plain)
		}
	}
	if len(each.made) == 0 || len(each.made) > maxShared {
		t.Errorf("%d pages are kept", len(each.made))
	}
}

// TestShareMark: the page has the place, once.
func TestShareMark(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("watch.html")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte(shareMark)); n != 1 {
		t.Errorf("watch.html has %q %d times", shareMark, n)
	}
	if built := load(built("site")).files[watchPage]; built != nil && bytes.Count(built.plain, []byte(shareMark)) != 1 {
		t.Errorf("the page that was built has no %s: run make build", shareMark)
	}
}

func BenchmarkShare(b *testing.B) {
	each := &shared{page: newFile("watch.html", shareable()["watch.html"].Data), prefix: func(*http.Request) string { return "" }, made: map[string]*file{}}
	r := httptest.NewRequest("GET", "/watch/show", nil)
	r.SetPathValue("name", "show")
	b.ReportAllocs()
	for b.Loop() {
		each.of(r)
	}
}

// TestShareBelow: below a signed address the poster's address is one, too, and nothing of it is markup.
func TestShareBelow(t *testing.T) {
	t.Parallel()
	prefix := ""
	each := &shared{page: newFile("watch.html", shareable()["watch.html"].Data), prefix: func(*http.Request) string { return prefix }, made: map[string]*file{}}
	for given, want := range map[string]string{"": `"http://example.com/live/show/poster.jpg"`, "/p/1.k1.show.9": `"http://example.com/p/1.k1.show.9/live/show/poster.jpg"`, `/p/"><b>`: `"http://example.com/p/&#34;&gt;&lt;b&gt;/live/show/poster.jpg"`} {
		prefix = given
		r := httptest.NewRequest("GET", "/watch/show", nil)
		r.SetPathValue("name", "show")
		if page := string(each.of(r).plain); strings.Count(page, want) != 2 {
			t.Errorf("below %q the page has no %s:\n%.500s", given, want, page)
		}
	}
}
