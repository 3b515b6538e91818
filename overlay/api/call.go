package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pushcart/internal/auth"
	"pushcart/overlay"
)

// call is one request on its way through its route.
type call struct {
	api   *API
	route *route
	w     http.ResponseWriter
	r     *http.Request

	// Of routes that need a token.
	stream string
	token  string
	desk   Desk
	// Of routes that change something.
	body  []byte
	key   string
	ifRev *int64
	// Of routes that change the slots.
	ifEpoch, ifSeq *int64
}

// serve makes the handler of a route.
func (a *API) serve(rt *route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := &statusWriter{ResponseWriter: w}
		c := &call{api: a, route: rt, w: s, r: r}
		if rt.open() {
			a.opt.Origins(w.Header(), r)
		}
		err := c.carryOut()
		if err != nil {
			problemOf(err).write(s)
		}
		a.metrics.requests.WithLabelValues(rt.method, strconv.Itoa(s.status)).Inc()
	}
}

// carryOut answers the request, here or where the stream's origin is.
func (c *call) carryOut() error {
	if err := c.admit(); err != nil {
		return err
	}
	if done, err := c.forward(); done || err != nil {
		return err
	}
	if err := c.prepare(); err != nil {
		return err
	}
	return c.route.handle(c)
}

// statusWriter remembers the status for the metric.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *statusWriter) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// admit does what all routes have in common before it is asked where the stream is: who asks comes first.
func (c *call) admit() error {
	rt := c.route
	if rt.viewers {
		if err := c.admitViewer(); err != nil {
			return err
		}
	}
	if !rt.open() {
		if err := c.admitOperator(); err != nil {
			return err
		}
		if err := c.checkQuery(); err != nil {
			return err
		}
	}
	if len(rt.body.kinds) > 0 {
		if err := c.readBody(rt.body); err != nil {
			return err
		}
	}
	return nil
}

// prepare does what all routes have in common where the stream is this node's.
func (c *call) prepare() (err error) {
	rt := c.route
	switch {
	case rt.open(), rt.deskless && rt.method == http.MethodGet:
		return nil
	case rt.deskless:
		return c.preconditions(unconditional)
	}
	if c.desk, err = c.api.opt.Desk(c.stream); err != nil {
		return err
	}
	if !rt.changes() {
		return nil
	}
	if c.key, err = c.idempotencyKey(); err != nil {
		return err
	}
	return c.preconditions(rt.condition)
}

// admitOperator lets in whoever has a token of the route's role for the stream that the path names; where it names none, for any.
func (c *call) admitOperator() (err error) {
	c.stream = c.r.PathValue("name")
	if !strings.Contains(c.route.path, "{name}") {
		c.token, err = c.api.guard.admitKnown(c.r, c.route.role)
		return err
	}
	if c.token, err = c.api.guard.admit(c.r, c.stream, c.route.role); err != nil {
		return err
	}
	if err := auth.ValidName(c.stream); err != nil {
		return problemf(overlay.ReasonNotFound, "name", "There is no stream of this name, since %v.", err)
	}
	return nil
}

// checkQuery refuses parameters that the route does not take: a mistyped "at" must not hide a card at once.
func (c *call) checkQuery() error {
	query := c.r.URL.Query()
	if c.r.URL.RawQuery != "" && len(query) == 0 {
		return problemf(reasonMalformed, "", "The query of the address cannot be read.")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(c.route.query, name) && len(c.route.query) == 0:
			return problemf(reasonMalformed, clip(name), "It is not known here. This request takes no parameters.")
		case !slices.Contains(c.route.query, name):
			return problemf(reasonMalformed, clip(name), "It is not known here. This request takes %s.", quoted(c.route.query))
		case len(values) > 1:
			return problemf(reasonMalformed, name, "It is given twice.")
		}
	}
	return nil
}

// do carries a command out and answers with its result. tag makes the entity tag from the result; nil is none.
func (c *call) do(cmd overlay.Command, tag func(overlay.Result) string) error {
	cmd.IfRev, cmd.IfEpoch, cmd.IfSeq, cmd.Key, cmd.Source = c.ifRev, c.ifEpoch, c.ifSeq, c.key, "api"
	cmd.Fingerprint = fingerprint(&cmd)
	res, err := c.desk.Do(c.r.Context(), cmd)
	if err != nil {
		return c.blame(err)
	}
	h := c.w.Header()
	if res.Replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	if tag != nil {
		h.Set("ETag", tag(res))
	}
	status := http.StatusOK
	if res.Created {
		status = http.StatusCreated
		h.Set("Location", "/api/v1/streams/"+c.stream+"/cards/"+res.Card)
	}
	writeJSON(c.w, status, kindJSON, res)
	return nil
}

// blame names the header with which a request stated what turned out not to hold.
func (c *call) blame(err error) error {
	p := problemOf(err)
	if p.Reason == overlay.ReasonStale && p.Field == "" {
		p.Field = "If-Match"
		if c.ifRev != nil && *c.ifRev == 0 {
			p.Field = "If-None-Match"
		}
	}
	return p
}

// fingerprint is a hash of all that a command says.
func fingerprint(cmd *overlay.Command) [32]byte {
	said, err := json.Marshal(struct {
		Op       overlay.Op
		Card     string
		Slot     string
		Body     []byte
		IfRev    *int64
		IfEpoch  *int64
		IfSeq    *int64
		Order    []string
		Schedule string
		InBand   *bool
		At       time.Time
	}{cmd.Op, cmd.Card, cmd.Slot, cmd.Body, cmd.IfRev, cmd.IfEpoch, cmd.IfSeq, cmd.Order, cmd.Schedule, cmd.InBand, cmd.At})
	if err != nil {
		panic(err) // not reached: such a struct can always be written, and instant lets no other times in
	}
	return sha256.Sum256(said)
}

// answer sends a representation with its entity tag, or says that the client's copy is still good.
func (c *call) answer(tag string, v any) error {
	if tag != "" {
		c.w.Header().Set("ETag", tag)
		if matches(c.r.Header.Values("If-None-Match"), tag) {
			c.w.Header().Set("Cache-Control", "no-store")
			c.w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	writeJSON(c.w, http.StatusOK, kindJSON, v)
	return nil
}

// writeJSON answers with a JSON document, which nobody keeps unless Cache-Control is set already.
func writeJSON(w http.ResponseWriter, status int, kind string, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is no HTML, and says so
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// A client that goes away is no fault of ours.
	_, _ = w.Write(b.Bytes())
}
