package load

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Address is where something is asked for.
type Address struct {
	Secure bool
	Host   string // as the URL has it
	Path   string // with the query, which may hold secrets
}

var errAddress = errors.New("not an http or https address")

// maxURI is how long an address may be.
const maxURI = 8 << 10

// ParseAddress reads an absolute URL.
func ParseAddress(s string) (Address, error) {
	u, err := url.Parse(s)
	if err != nil {
		return Address{}, errAddress // the error of url.Parse would repeat the query
	}
	return addressOf(u)
}

func addressOf(u *url.URL) (Address, error) {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return Address{}, errAddress
	}
	path := u.RequestURI()
	if len(path) > maxURI || strings.ContainsAny(path, " \r\n\t") {
		return Address{}, errAddress
	}
	return Address{Secure: u.Scheme == "https", Host: u.Host, Path: path}, nil
}

// url is the address as net/url has it.
func (a Address) url() *url.URL {
	path, query, _ := strings.Cut(a.Path, "?")
	u, err := url.ParseRequestURI(path)
	if err != nil {
		u = &url.URL{Path: path}
	}
	u.Scheme, u.Host, u.RawQuery = "http", a.Host, query
	if a.Secure {
		u.Scheme = "https"
	}
	return u
}

// resolve makes an address of a URI that was found at this one (RFC 3986 5.2).
func (a Address) resolve(uri string) (Address, error) {
	if len(uri) > maxURI {
		return Address{}, errAddress
	}
	ref, err := url.Parse(uri)
	if err != nil {
		return Address{}, errAddress
	}
	return addressOf(a.url().ResolveReference(ref))
}

// dial is the host and port to connect to.
func (a Address) dial() string {
	if _, _, err := net.SplitHostPort(a.Host); err == nil {
		return a.Host
	}
	port := "80"
	if a.Secure {
		port = "443"
	}
	return net.JoinHostPort(strings.Trim(a.Host, "[]"), port)
}

// bare is the address without its query: what is the same for viewers with sessions of their own.
func (a Address) bare() string {
	path, _, _ := strings.Cut(a.Path, "?")
	scheme := "http://"
	if a.Secure {
		scheme = "https://"
	}
	return scheme + a.Host + path
}

// shared is the address without what is a viewer's own: what stands in the query of the playlist that named it too, such as a
// session or a token that an origin repeats in each address, and directives.
func (a Address) shared(playlist Address) string {
	path, query, has := strings.Cut(a.Path, "?")
	scheme := "http://"
	if a.Secure {
		scheme = "https://"
	}
	if !has {
		return scheme + a.Host + path
	}
	_, own, _ := strings.Cut(playlist.Path, "?")
	sep := "?"
	for field := range strings.SplitSeq(query, "&") {
		if strings.HasPrefix(field, "_HLS_") || own != "" && strings.Contains("&"+own+"&", "&"+field+"&") {
			continue
		}
		path, sep = path+sep+field, "&"
	}
	return scheme + a.Host + path
}

// longElement is from how many characters on an element of a path may be a token that lets whoever has it watch.
const longElement = 40

// String implements fmt.Stringer. It leaves out what may be a secret: the query, and long elements of the path.
func (a Address) String() string {
	elements := strings.Split(a.bare(), "/")
	for i, e := range elements[min(3, len(elements)):] { // behind scheme and host
		if len(e) >= longElement {
			elements[i+3] = "…"
		}
	}
	return strings.Join(elements, "/")
}

// OnThisHost tells whether an address's host is this machine: a loopback address, or one that an interface here has. A host name
// is looked up.
func OnThisHost(host string) (bool, error) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = append(ips, ip)
	} else {
		found, err := net.LookupHost(host)
		if err != nil {
			return false, fmt.Errorf("look up %s: %w", host, err)
		}
		for _, f := range found {
			if ip, err := netip.ParseAddr(f); err == nil {
				ips = append(ips, ip)
			}
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false, err
	}
	for _, ip := range ips {
		here := ip.IsLoopback()
		for _, o := range own {
			prefix, err := netip.ParsePrefix(o.String())
			here = here || err == nil && prefix.Addr() == ip.Unmap()
		}
		if !here {
			return false, nil
		}
	}
	return len(ips) > 0, nil
}
