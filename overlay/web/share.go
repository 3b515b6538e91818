package web

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// shareMark is where in the watch page the node puts what other sites show of it when somebody shares its address. They read no
// scripts, and take whole addresses only, so the page that was built cannot have it.
const shareMark = "<!--share-->"

// Forms of what goes into the page. A name is that of a stream; a host is what a browser sends, with a port or without.
var (
	sharedName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	sharedHost = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$`)
)

// maxShared is how many made pages are kept. Names and hosts are whatever somebody asks for.
const maxShared = 256

// shared makes the watch page of each stream; for any number of goroutines.
type shared struct {
	page   *file // as it was built
	prefix func(*http.Request) string

	mu   sync.Mutex // guards made
	made map[string]*file
}

// of is the page for a request: with an address of the stream's poster where it can have one, else as it was built.
func (s *shared) of(r *http.Request) *file {
	name, host := r.PathValue("name"), r.Host
	if !sharedName.MatchString(name) || !sharedHost.MatchString(host) {
		return s.page
	}
	scheme := "http"
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	poster := scheme + "://" + host + s.prefix(r) + "/live/" + name + "/poster.jpg"
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.made[poster]
	if f == nil {
		if len(s.made) >= maxShared {
			clear(s.made)
		}
		f = newFile(s.page.name, []byte(strings.Replace(string(s.page.plain), shareMark, shareTags(name, poster), 1)))
		s.made[poster] = f
	}
	return f
}

// shareTags are those of the Open Graph protocol (ogp.me) and of X's cards.
func shareTags(name, poster string) string {
	name, poster = html.EscapeString(name), html.EscapeString(poster)
	return `<meta property="og:type" content="video.other" />` +
		`<meta property="og:title" content="` + name + `" />` +
		`<meta property="og:image" content="` + poster + `" />` +
		`<meta name="twitter:card" content="summary_large_image" />` +
		`<meta name="twitter:image" content="` + poster + `" />`
}
