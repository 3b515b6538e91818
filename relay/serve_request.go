package relay

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// Limits of a request.
const (
	// maxHops is how many nodes a stream passes on its way, the origin among them: two hops.
	maxHops   = 3
	maxRanges = 8
	maxToken  = 1024
)

// refusal is an answer other than a log.
type refusal struct {
	status int
	// reason as counted, text for people.
	reason, text string
	// gen is what this node has, for 409; location is where else to ask, for 307.
	gen            int64
	location, node string
}

func refuse(status int, reason, text string) *refusal {
	return &refusal{status: status, reason: reason, text: text}
}

func (f *refusal) write(w http.ResponseWriter) {
	switch {
	case f.location != "":
		w.Header().Set("Location", f.location)
		w.Header().Set("Pushcart-Node", f.node)
	case f.status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case f.status == http.StatusConflict:
		w.Header().Set("Pushcart-Gen", strconv.FormatInt(f.gen, 10))
	}
	w.Header().Set("Pushcart-Reason", f.reason)
	http.Error(w, f.reason+": "+f.text, f.status)
}

// serve answers a request for a log.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	l, f := s.open(w, r)
	if f == nil {
		if f = s.enter(l); f == nil {
			defer s.leave(l)
			l.run(r.Context())
			return
		}
		if f.reason == "full" {
			if location, node := s.elsewhere(l.key, r); location != "" {
				f = &refusal{status: http.StatusTemporaryRedirect, reason: "redirected", text: f.text, location: location, node: node}
			}
		}
	}
	s.metrics.refusals.WithLabelValues(f.reason).Inc()
	s.opts.Log.Debug("a peer was refused", "address", r.RemoteAddr, "path", r.URL.Path, "reason", f.reason, "text", f.text)
	f.write(w)
}

// open checks a request and makes its log.
func (s *Server) open(w http.ResponseWriter, r *http.Request) (*log, *refusal) {
	if r.Method != http.MethodGet {
		return nil, refuse(http.StatusMethodNotAllowed, "request", "a log is fetched by GET")
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, refuse(http.StatusForbidden, "identity", "connect with TLS and the node's certificate")
	}
	node, region, err := s.opts.Identity(r.TLS.PeerCertificates[0])
	if err != nil {
		return nil, refuse(http.StatusForbidden, "identity", err.Error())
	}
	l := &log{
		s: s, w: w, control: http.NewResponseController(w), region: region,
		key: logKey{peerKey{node, r.PathValue("stream")}, r.PathValue("rendition")}, ended: make(chan struct{}),
	}
	entry, known := s.opts.Directory.Lookup(l.key.stream)
	if !known {
		return nil, refuse(http.StatusNotFound, "unknown", "the directory has no such stream")
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || len(token) > maxToken {
		return nil, refuse(http.StatusForbidden, "token", "the request has no token; send Authorization: Bearer TOKEN")
	}
	if err := s.opts.Verify(token, l.key.stream, node); err != nil {
		return nil, refuse(http.StatusForbidden, "token", err.Error())
	}
	if !allowed(&entry, region) {
		return nil, refuse(http.StatusForbidden, "region", "the stream's policy does not allow it in the region "+strconv.Quote(region))
	}
	if f := s.checkPath(r.Header.Get("Pushcart-Path"), l); f != nil {
		return nil, f
	}
	if l.presentation = s.opts.Presentation(l.key.stream); l.presentation == nil && s.opts.Await != nil {
		l.presentation = s.opts.Await(r.Context(), l.key.stream, node)
	}
	if l.presentation == nil {
		return nil, refuse(http.StatusNotFound, "unknown", "this node does not hold the stream")
	}
	if f := checkGeneration(r.Header.Get("Pushcart-Gen"), l.presentation); f != nil {
		return nil, f
	}
	if l.have, err = parseHave(r.URL.Query().Get("have")); err != nil {
		return nil, refuse(http.StatusBadRequest, "request", err.Error())
	}
	if l.key.rendition != "" {
		if l.rendition = l.presentation.Load().Rendition(l.key.rendition); l.rendition == nil {
			return nil, refuse(http.StatusNotFound, "unknown", "the stream has no such rendition")
		}
	}
	return l, nil
}

// checkPath keeps copies from going round in circles, and from being copied too often.
func (s *Server) checkPath(header string, l *log) *refusal {
	var names []string
	if header != "" {
		if len(header) > maxHops*256 {
			return refuse(http.StatusBadRequest, "request", "Pushcart-Path is too long")
		}
		for n := range strings.SplitSeq(header, ",") {
			names = append(names, strings.TrimSpace(n))
		}
	}
	if len(names) > maxHops-1 || slices.Contains(names, s.self.Name) {
		return refuse(http.StatusLoopDetected, "loop", "the copy would come round to this node, or go too far: "+strconv.Quote(header))
	}
	if path := s.path(l.key.stream); slices.Contains(path, l.key.node) || len(path) >= maxHops {
		return refuse(http.StatusLoopDetected, "loop", fmt.Sprintf("this node has the stream by way of %v: ask the first of them", path))
	}
	return nil
}

// checkGeneration compares what a peer knows of with what there is. A peer that knows of less has to look again, before it
// follows an origin that may have been replaced; one that knows of more finds nothing here that it may take.
func checkGeneration(header string, p *window.Presentation) *refusal {
	if header == "" {
		return nil
	}
	asked, err := strconv.ParseInt(header, 10, 64)
	if err != nil || asked < 0 {
		return refuse(http.StatusBadRequest, "request", "Pushcart-Gen is not a generation")
	}
	if ours := p.Gen(); asked != ours {
		return &refusal{
			status: http.StatusConflict, reason: "generation", gen: ours,
			text: fmt.Sprintf("generation %d was asked for, and this node has %d; look into the directory", asked, ours),
		}
	}
	return nil
}

// elsewhere returns the address of the same log at another holder and that one's name: the least loaded of the peer's region,
// else of any; "" when there is none.
func (s *Server) elsewhere(k logKey, r *http.Request) (location, node string) {
	var best *Peer
	var near bool
	region := ""
	peers := s.opts.Directory.Peers()
	for i := range peers {
		if peers[i].Name == k.node {
			region = peers[i].Region
		}
	}
	for i := range peers {
		p := &peers[i]
		holds := slices.ContainsFunc(p.Streams, func(h Held) bool { return h.Stream == k.stream && h.From != k.node })
		if !holds || p.Address == "" || p.Load.Full || p.Name == k.node {
			continue
		}
		same := p.Region == region
		if best == nil || same && !near || same == near && p.Load.Peers < best.Load.Peers {
			best, near = p, same
		}
	}
	if best == nil {
		return "", ""
	}
	return (&url.URL{Scheme: "https", Host: best.Address, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}).String(), best.Name
}

// span is a range of positions, both ends included.
type span struct{ first, last Position }

// before orders positions.
func (p Position) before(o Position) bool {
	if p.Gen != o.Gen {
		return p.Gen < o.Gen
	}
	if p.MSN != o.MSN {
		return p.MSN < o.MSN
	}
	return p.Part < o.Part
}

func (s span) contains(p Position) bool { return !p.before(s.first) && !s.last.before(p) }

// parseHave reads "GEN:MSN.PART-GEN:MSN.PART,…".
func parseHave(text string) ([]span, error) {
	if text == "" {
		return nil, nil
	}
	if strings.Count(text, ",") >= maxRanges {
		return nil, fmt.Errorf("have has more than %d ranges", maxRanges)
	}
	var all []span
	for part := range strings.SplitSeq(text, ",") {
		a, b, found := strings.Cut(part, "-")
		first, err1 := parsePosition(a)
		last, err2 := parsePosition(b)
		if !found || err1 != nil || err2 != nil || last.before(first) {
			return nil, fmt.Errorf("have has a range %.80q; write GEN:MSN.PART-GEN:MSN.PART", part)
		}
		all = append(all, span{first, last})
	}
	return all, nil
}

func parsePosition(text string) (Position, error) {
	gen, rest, ok1 := strings.Cut(text, ":")
	msn, part, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 {
		return Position{}, strconv.ErrSyntax
	}
	g, err1 := strconv.ParseUint(gen, 10, 63)
	m, err2 := strconv.ParseUint(msn, 10, 63)
	i, err3 := strconv.ParseUint(part, 10, 31)
	if err1 != nil || err2 != nil || err3 != nil {
		return Position{}, strconv.ErrSyntax
	}
	return Position{Gen: int64(g), MSN: int64(m), Part: int(i)}, nil
}

// permitted is asked again and again while a log is given: why it has to end; "" is that it goes on.
func (s *Server) permitted(l *log) (wire.Reason, string) {
	if entry, known := s.opts.Directory.Lookup(l.key.stream); known && !allowed(&entry, l.region) {
		return wire.Refused, "the stream's policy does not allow it in the region any more"
	}
	switch path := s.path(l.key.stream); {
	case slices.Contains(path, l.key.node):
		return wire.Redirect, fmt.Sprintf("this node has the stream by way of %v", path)
	case len(path) < maxHops:
		l.farSince = time.Time{}
	case l.farSince.IsZero():
		l.farSince = time.Now() // hello tells the peer, which can move without a hole
	case time.Since(l.farSince) > farMost:
		return wire.Redirect, fmt.Sprintf("the way has become too long: %v", path)
	}
	if now := s.opts.Presentation(l.key.stream); now != nil && now != l.presentation {
		return wire.Superseded, "there is a new presentation"
	}
	return "", ""
}
