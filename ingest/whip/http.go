package whip

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"pushcart/ingest"
)

const (
	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag" // RFC 8840 9
	bodyTimeout  = 10 * time.Second
	prefix       = "/whip/"
)

// Register adds the endpoint, /whip/NAME, and the session resources, /whip/NAME/SESSION, to a mux.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc(prefix+"{name}", s.endpoint)
	mux.HandleFunc(prefix+"{name}/{session}", s.resource)
}

// endpoint answers requests to /whip/NAME (RFC 9725 4.2).
func (s *Server) endpoint(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w)
	hurry(w)
	switch r.Method {
	case http.MethodOptions:
		w.Header().Set("Accept-Post", typeSDP)
		preflight(w, "OPTIONS, POST")
	case http.MethodPost:
		s.post(w, r)
	default:
		notAllowed(w, "OPTIONS, POST", "Only POST, with an offer as application/sdp, is for this address.")
	}
}

// resource answers requests to a session's address (RFC 9725 4.3).
func (s *Server) resource(w http.ResponseWriter, r *http.Request) {
	crossOrigin(w)
	hurry(w)
	if r.Method == http.MethodOptions {
		w.Header().Set("Accept-Patch", typeFragment)
		preflight(w, "DELETE, OPTIONS, PATCH")
		return
	}
	if r.PathValue("name") == "live" && r.Method == http.MethodPost {
		problem(w, http.StatusNotFound, "Publish to /whip/%s: there is no \"live\" in this address.", printable(r.PathValue("session")))
		return
	}
	given := sha256.Sum256([]byte(credential(r)))
	c := s.session(r.PathValue("session"))
	if c == nil || c.name != r.PathValue("name") {
		if why := s.ending(r.PathValue("session"), given); why != "" {
			problem(w, http.StatusGone, "%s", why)
			return
		}
		problem(w, http.StatusNotFound, "There is no such session, or it has ended: publish anew.")
		return
	}
	if subtle.ConstantTimeCompare(given[:], c.secret[:]) != 1 {
		w.Header().Set("WWW-Authenticate", "Bearer")
		problem(w, http.StatusUnauthorized, "A session takes requests with the token only that it was made with.")
		return
	}
	switch r.Method {
	case http.MethodDelete:
		c.leave()
		w.WriteHeader(http.StatusOK)
	case http.MethodPatch:
		s.patch(w, r, c)
	default:
		notAllowed(w, "DELETE, OPTIONS, PATCH", "A session takes PATCH and DELETE.")
	}
}

// post makes a session.
func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		problem(w, http.StatusInternalServerError, "The address of your connection cannot be read.")
		return
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	conn := ingest.NewConn()
	if err := s.permit(r, from, conn); err != nil {
		s.refuse(w, from, conn, err)
		return
	}
	how, refusal := s.admit(from.Addr())
	if refusal != nil {
		s.metrics.results[how].Inc()
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusServiceUnavailable, "%s", refusal.Message)
		return
	}
	kept := false
	defer func() {
		if !kept {
			s.leave(from.Addr())
		}
	}()
	o, how, ok := s.offerOf(w, r, from, conn)
	if !ok {
		s.metrics.results[how].Inc()
		return
	}
	c, answer, err := s.begin(r, from, o, conn)
	if err != nil {
		s.refuse(w, from, conn, err)
		return
	}
	kept = true
	h := w.Header()
	h.Set("Content-Type", typeSDP)
	h.Set("Location", prefix+url.PathEscape(c.name)+"/"+c.id)
	h.Set("ETag", c.tag())
	h.Set("Accept-Patch", typeFragment)
	h.Set("Cache-Control", "no-store")
	for _, l := range s.opt.ICEServers() {
		h.Add("Link", link(l))
	}
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, answer)
}

// offerOf reads a request's offer, or answers why it is not taken.
func (s *Server) offerOf(w http.ResponseWriter, r *http.Request, from netip.AddrPort, conn string) (*offer, result, bool) {
	body, ok := readBody(w, r, typeSDP)
	if !ok {
		return nil, resultBadRequest, false
	}
	o, err := readOffer(body, s.opt.Deliverable)
	var bad *offerError
	switch {
	case err == nil:
	case errors.As(err, &bad) && bad.unsupported:
		// RFC 9725 4.4.4: an offer of which only a part could be taken is refused as a whole.
		s.opt.Log.Warn("whip: offer refused", "conn", conn, "remote", from, "reason", string(bad.reason), "message", bad.sentence)
		s.metrics.refusals.Count(bad.reason)
		problem(w, http.StatusUnprocessableEntity, "%s", bad.sentence)
		return nil, resultUnsupported, false
	default:
		problem(w, http.StatusBadRequest, "%s", err)
		return nil, resultBadRequest, false
	}
	return o, "", true
}

// permitter is a door that tells whom it would let in.
type permitter interface{ Permits(ingest.Request) bool }

// permit refuses, before it costs anything, who will not be let in: else a few who have no key could take all places with
// offers that do not come to their end.
func (s *Server) permit(r *http.Request, from netip.AddrPort, conn string) error {
	if credential(r) == "" && foreign(r) {
		return ingest.Refuse(ingest.ReasonNoKeys, "Pages of other sites need a stream key to publish here. On this host itself, open the page as http://localhost.")
	}
	asked := request(r, from, conn, func(*ingest.Refusal) {})
	if door, ok := s.opt.Door.(permitter); !ok || door.Permits(asked) {
		return nil
	}
	pub, err := s.opt.Door.Open(asked) // which logs and counts it
	if err == nil {                    // the keys have just changed
		pub.Close(nil)
	}
	return err
}

// hurry bounds how long a request's body may take. Also one that is refused is read to its end, or to this time, before the answer
// goes.
func hurry(w http.ResponseWriter) {
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) //nolint:errcheck // a server without deadlines
}

// readBody reads a request's body of a type, or answers why not.
func readBody(w http.ResponseWriter, r *http.Request, want string) (string, bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != want {
		w.Header().Set("Accept", want)
		problem(w, http.StatusUnsupportedMediaType, "Send the body as %s.", want)
		return "", false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOffer))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		problem(w, http.StatusRequestEntityTooLarge, "The body is longer than %d bytes.", maxOffer)
		return "", false
	case err != nil:
		problem(w, http.StatusBadRequest, "The body did not come to its end.")
		return "", false
	}
	return string(body), true
}

// refuse answers why there is no session.
func (s *Server) refuse(w http.ResponseWriter, from netip.AddrPort, conn string, err error) {
	var refusal *ingest.Refusal
	if !errors.As(err, &refusal) {
		s.metrics.results[resultBadRequest].Inc()
		s.opt.Log.Warn("whip: offer failed", "conn", conn, "remote", from, "error", err)
		problem(w, http.StatusBadRequest, "The offer cannot be answered: %s.", ingest.Clip(err.Error()))
		return
	}
	s.metrics.results[resultRefused].Inc()
	s.metrics.refusals.Count(refusal.Reason)
	status := http.StatusForbidden
	switch refusal.Reason {
	case ingest.ReasonBadKey:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
	case ingest.ReasonBadName:
		status = http.StatusBadRequest
	case ingest.ReasonNameTaken, ingest.ReasonStandby, ingest.ReasonElsewhere:
		status = http.StatusConflict
		w.Header().Set("Retry-After", "5")
	case ingest.ReasonLimit:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", "5")
	case ingest.ReasonShutdown, ingest.ReasonCluster, ingest.ReasonAuthority:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	}
	problem(w, status, "%s", refusal.Message)
}

// patch takes candidates, which an ICE lite agent has no use for, or restarts ICE (RFC 9725 4.3.1 to 4.3.3).
func (s *Server) patch(w http.ResponseWriter, r *http.Request, c *session) {
	body, ok := readBody(w, r, typeFragment)
	if !ok {
		return
	}
	f, err := readFragment(body)
	if err != nil {
		problem(w, http.StatusBadRequest, "The fragment cannot be taken: %v.", err)
		return
	}
	match := strings.Join(r.Header.Values("If-Match"), ", ")
	answer, tag, err := c.restart(r.Context(), f, match)
	switch {
	case errors.Is(err, errNoTag):
		problem(w, http.StatusPreconditionRequired, "Send If-Match with the session's last ETag, or with * to restart ICE.")
	case errors.Is(err, errOldTag):
		problem(w, http.StatusPreconditionFailed, "The ETag in If-Match is not the session's last one: ICE was restarted meanwhile.")
	case errors.Is(err, errHalfCredentials):
		problem(w, http.StatusBadRequest, "The fragment has only one of ice-ufrag and ice-pwd.")
	case errors.Is(err, errTooManyRestarts):
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusTooManyRequests, "ICE is restarted too often.")
	case err != nil:
		problem(w, http.StatusUnprocessableEntity, "ICE cannot be restarted: %s. Publish anew.", ingest.Clip(err.Error()))
	case answer == "":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", typeFragment)
		w.Header().Set("ETag", tag)
		io.WriteString(w, answer)
	}
}

// matches tells whether an If-Match field (RFC 9110 13.1.1) names a strong entity tag.
func matches(field, tag string) bool {
	for one := range strings.SplitSeq(field, ",") {
		if strings.TrimSpace(one) == tag {
			return true
		}
	}
	return false
}

// credential finds the key in a request: a bearer token, the password of Basic, or ?key=.
func credential(r *http.Request) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return r.URL.Query().Get("key")
}

// foreign tells of a request that a browser sends for a page of another site. Without keys this host's own programs may
// publish, and any page in this host's browser would pass for one; also one of a site whose name its owner has made to
// stand for this host, so it is not enough that the request is for where the page is from.
func foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return true
	}
	a, err := netip.ParseAddr(u.Hostname())
	return !strings.EqualFold(u.Hostname(), "localhost") && (err != nil || !a.IsLoopback())
}

// crossOrigin lets pages of other sites publish, with a key (Fetch 3.2).
func crossOrigin(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Location, Link, ETag, Accept-Patch, Retry-After")
}

func preflight(w http.ResponseWriter, methods string) {
	w.Header().Set("Allow", methods)
	w.Header().Set("Access-Control-Allow-Methods", methods)
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
	w.Header().Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusOK)
}

func notAllowed(w http.ResponseWriter, methods, sentence string) {
	w.Header().Set("Allow", methods)
	problem(w, http.StatusMethodNotAllowed, "%s", sentence)
}

// problem answers with a sentence (RFC 9457).
func problem(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.Encode(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, fmt.Sprintf(format, args...)})
}

// link writes a STUN or TURN server as a Link header field (RFC 9725 4.6).
func link(s ICEServer) string {
	quote := func(v string) string {
		v = strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' {
				return -1
			}
			return c
		}, v)
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
	}
	l := "<" + s.URL + `>; rel="ice-server"`
	if s.Username != "" {
		l += "; username=" + quote(s.Username) + "; credential=" + quote(s.Credential) + `; credential-type="password"`
	}
	return l
}

// printable keeps a path's part fit for a sentence.
func printable(name string) string { return url.PathEscape(ingest.Clip(name)) }

// newID is an identifier that nobody can guess.
func newID() string { return rand.Text() }
