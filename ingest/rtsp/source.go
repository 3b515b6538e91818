package rtsp

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"pushcart/ingest"
)

// mostRedirects is how many redirects are followed.
const mostRedirects = 5

// source is where a stream is fetched from.
type source struct {
	url       *base.URL
	pin       []byte // SHA-256 of the certificate; nil verifies it
	transport *gortsplib.Transport
	secrets   []string
}

func parseSource(p ingest.Pull) (source, error) {
	var s source
	if p.URL == nil || p.URL.Host == "" || p.URL.Scheme != "rtsp" && p.URL.Scheme != "rtsps" {
		return s, say("The source's address must begin with rtsp://HOST or rtsps://HOST.")
	}
	u := *p.URL
	if u.Fragment != "" {
		pin, ok := strings.CutPrefix(u.Fragment, "sha256=")
		raw, err := hex.DecodeString(strings.ReplaceAll(pin, ":", ""))
		if !ok || err != nil || len(raw) != sha256.Size || u.Scheme != "rtsps" {
			return s, say("Behind # the source's address may have only the fingerprint of an rtsps certificate, as #sha256= and 64 hexadecimal digits.")
		}
		s.pin, u.Fragment, u.RawFragment = raw, "", ""
	}
	udp, tcp := gortsplib.TransportUDP, gortsplib.TransportTCP
	switch {
	case p.Transport == "tcp", u.Scheme == "rtsps" && p.Transport == "":
		s.transport = &tcp
	case p.Transport == "udp" && u.Scheme == "rtsps":
		return s, say("An rtsps source is fetched over TCP: set its transport to tcp.")
	case p.Transport == "udp":
		s.transport = &udp
	case p.Transport != "":
		return s, say("The transport must be udp, tcp or empty.")
	}
	s.url = (*base.URL)(&u)
	s.secrets = secretsOf(&u)
	return s, nil
}

// secretsOf lists what of a URL must not be told.
func secretsOf(u *url.URL) (all []string) {
	add := func(v string) {
		if v != "" {
			all = append(all, v, url.QueryEscape(v), url.PathEscape(v))
		}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		add(password)
		if len(u.User.Username()) > 3 { // "a" would be found in every word
			add(u.User.Username())
		}
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) > 3 {
				add(v)
			}
		}
	}
	return all
}

// redact is a text without what came with the URL, of which a source may have repeated a part.
func (s source) redact(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return ingest.PlainText(text)
}

// redirect is where a redirect leads.
func (s source) redirect(to *base.URL, others bool) (source, error) {
	same := strings.EqualFold(to.Hostname(), s.url.Hostname())
	switch {
	case !same && !others:
		return s, say("The source redirects to another host, %s. Put that into its address, or allow its redirects.", ingest.Clip(ingest.PlainText(to.Hostname())))
	case s.url.Scheme == "rtsps" && to.Scheme != "rtsps":
		return s, say("The source redirects from rtsps to rtsp, which would be readable on the way. Change its address if that is meant.")
	}
	next := s
	u := *to
	u.User = nil // what the source says there is not ours
	if same {
		u.User = s.url.User
	} else {
		next.pin = nil
	}
	next.url = &u
	return next, nil
}

// sentence is an error for whoever added the source.
type sentence string

// Error implements error.
func (s sentence) Error() string { return string(s) }

func say(format string, args ...any) error { return sentence(fmt.Sprintf(format, args...)) }

var errSetup = say("The source took too long to begin.")

// explain makes a sentence of an error. What is not this package's own is redacted.
func explain(err error, redact func(string) string) error {
	var r *ingest.Refusal
	var code liberrors.ErrClientBadStatusCode
	var network net.Error
	switch {
	case err == nil, errors.As(err, &r), errors.As(err, new(sentence)):
		return err
	case errors.As(err, &code) && code.Code == base.StatusUnauthorized:
		return say("The source refuses the user and password of its address.")
	case errors.As(err, &code):
		return say("The source answers %d, %s.", code.Code, ingest.Clip(redact(code.Message)))
	case errors.As(err, new(liberrors.ErrClientUDPTimeout)), errors.As(err, new(liberrors.ErrClientTCPTimeout)):
		return say("The source stopped sending.")
	case errors.As(err, new(liberrors.ErrClientRequestTimedOut)):
		return say("The source does not answer.")
	case errors.Is(err, io.EOF):
		return say("The source closed the connection.")
	case errors.As(err, &network):
		return say("The source cannot be reached, or was lost: %s.", redact(err.Error()))
	}
	return say("The source was lost: %s.", redact(err.Error()))
}
