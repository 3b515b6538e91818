package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"pushcart/ingest"
)

// handler answers the requests that gortsplib reads. It has no DESCRIBE and no PLAY, so that OPTIONS does not offer them.
type handler Server

// permitter is a door that can say, without claiming anything, whether it would open. Clients ask without a key first.
type permitter interface{ Permits(ingest.Request) bool }

// status is how RTSP puts a refusal (RFC 2326 11).
func status(r ingest.Reason) base.StatusCode {
	switch r {
	case ingest.ReasonBadKey:
		return base.StatusUnauthorized
	case ingest.ReasonNoKeys, ingest.ReasonNameTaken, ingest.ReasonTakenOver, ingest.ReasonStandby, ingest.ReasonElsewhere:
		return base.StatusForbidden
	case ingest.ReasonBadName:
		return base.StatusNotFound
	case ingest.ReasonUnsupportedCodec, ingest.ReasonNoCodecData, ingest.ReasonBadMedia:
		return base.StatusUnsupportedMediaType
	case ingest.ReasonLimit:
		return base.StatusRequestEntityTooLarge
	case ingest.ReasonShutdown, ingest.ReasonCluster, ingest.ReasonAuthority:
		return base.StatusServiceUnavailable
	case ingest.ReasonProtocol:
		return base.StatusMethodNotAllowed
	}
	return base.StatusBadRequest
}

// refuse answers a request with a refusal. An error makes gortsplib close the connection behind the answer.
func (h *handler) refuse(p *peer, err error, logged bool) (*base.Response, error) {
	var r *ingest.Refusal
	if !errors.As(err, &r) {
		r = ingest.Refuse(ingest.ReasonBadMedia, "This stream cannot be taken.")
	}
	p.refuse(r)
	h.metrics.refusals.Count(r.Reason)
	if !logged {
		p.log.Warn("rtsp: publisher refused", "reason", string(r.Reason), "message", r.Message)
	}
	return &base.Response{StatusCode: status(r.Reason)}, r
}

// challenge asks for a key (RFC 2326 16). The connection goes on.
func (h *handler) challenge(p *peer) (*base.Response, error) {
	p.challenged()
	return &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
}

// OnRequest implements gortsplib.ServerHandlerOnRequest.
func (h *handler) OnRequest(sc *gortsplib.ServerConn, req *base.Request) {
	p := peerOf(sc.NetConn())
	if !p.requested(req.Method) {
		p.outcome(resultProtocol)
		req.Body = nil // gortsplib answers this one yet
		sc.Close()
		return
	}
	disarm(sc, req, p.present() != nil)
	switch req.Method {
	case base.Announce:
		if r := tooMuch(req.Body); r != nil {
			h.refuse(p, r, false)
			req.Body = nil // not to be parsed
		}
	case base.Setup:
		if c := p.present(); c != nil && sc.Session() != nil && !c.recording.Load() {
			r, refusal := h.datagrams.setup(c, req)
			if refusal != nil {
				h.refuse(p, refusal, false)
				delete(req.Header, "Transport") // it is not to be served
			}
			p.sets(r)
		}
	case base.Teardown:
		if c := p.present(); c != nil {
			c.drain()
		}
	case base.Describe, base.Play:
		path := ""
		if req.URL != nil {
			path = req.URL.Path
		}
		h.refuse(p, h.noPlaying(path), false)
	}
}

// noPlaying refuses players, who are told where to go.
func (h *handler) noPlaying(path string) *ingest.Refusal {
	const sentence = "This server takes streams over RTSP but does not play them."
	if t, r := parseTarget(path, "", nil); r == nil {
		return ingest.Refuse(ingest.ReasonProtocol, "%s Watch at %s.", sentence, h.opt.Watch(ingest.Clip(ingest.PlainText(t.name))))
	}
	return ingest.Refuse(ingest.ReasonProtocol, sentence)
}

// OnResponse implements gortsplib.ServerHandlerOnResponse: it puts the reason into words, as the status line's phrase, which is
// what clients print.
func (h *handler) OnResponse(sc *gortsplib.ServerConn, res *base.Response) {
	p := peerOf(sc.NetConn())
	refusal, method := p.refusal()
	if r := p.sets(nil); r != nil && res.StatusCode == base.StatusOK && method == base.Setup {
		res.Header["Transport"] = h.datagrams.answer(r)
	}
	switch {
	case refusal != nil:
		res.StatusCode, res.StatusMessage = status(refusal.Reason), phrase(refusal.Message)
		if res.StatusCode == base.StatusServiceUnavailable {
			res.Header["Retry-After"] = base.HeaderValue{retryAfter} // RFC 2326 12.31
		}
		if res.StatusCode == base.StatusMethodNotAllowed {
			res.Header["Allow"] = base.HeaderValue{"OPTIONS, ANNOUNCE, SETUP, RECORD, TEARDOWN"} // RFC 2326 12.4
		}
	case res.StatusCode == base.StatusUnauthorized:
		res.StatusMessage = phrase("A key is needed: send it as the password (rtsp://any:SECRET@HOST/live/NAME) or as ?key=SECRET behind the address.")
	case res.StatusCode == base.StatusUnsupportedTransport:
		res.StatusMessage = phrase("This transport is not offered: use TCP, or UDP where the server has it.")
	case res.StatusCode == base.StatusBadRequest:
		p.outcome(resultProtocol)
		if method == base.Announce {
			res.StatusMessage = phrase("This session description cannot be read. Set the encoder to H.264 and AAC, or restart it.")
		}
	}
}

// retryAfter is in how many seconds a publisher should try again that is not taken for the moment.
const retryAfter = "5"

// phrase is a sentence fit for a status line. Some clients read 255 bytes of it.
func phrase(v string) string {
	const longest = 240
	v = ingest.PlainText(v)
	if len(v) > longest {
		v = strings.ToValidUTF8(v[:longest-len("…")], "") + "…"
	}
	return v
}

// OnAnnounce implements gortsplib.ServerHandlerOnAnnounce. The publisher is let in here, because this is the request at which
// clients expect to be asked for their key.
func (h *handler) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	p := peerOf(ctx.Conn.NetConn())
	t, refusal := parseTarget(ctx.Path, ctx.Query, ctx.Request.Header["Authorization"])
	if refusal != nil {
		return h.refuse(p, refusal, false)
	}
	s := (*Server)(h)
	c := newSession(s, p, ctx.Session)
	agent := ""
	if v := ctx.Request.Header["User-Agent"]; len(v) > 0 {
		agent = ingest.Clip(ingest.PlainText(v[0]))
	}
	req := ingest.Request{Protocol: s.protocol(), Remote: p.remote, Stream: t.name, Key: t.key, Agent: agent, Kick: c.kick, Conn: p.id, Context: p.ctx}
	if door, ok := s.opt.Door.(permitter); ok && !t.tried && !door.Permits(req) {
		return h.challenge(p)
	}
	pub, err := s.opt.Door.Open(req)
	if err != nil {
		var r *ingest.Refusal
		if !t.tried && errors.As(err, &r) && r.Reason == ingest.ReasonBadKey {
			return h.challenge(p)
		}
		return h.refuse(p, err, true)
	}
	if err := c.open(pub, readPlans(ctx.Description, ctx.Request.Body)); err != nil {
		res, err := h.refuse(p, err, true)
		c.refused = true
		c.close(err)
		return res, err
	}
	ctx.Session.SetUserData(c)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if _, ok := ctx.Session.UserData().(*session); !ok {
		res, err := h.refuse(peerOf(ctx.Conn.NetConn()), h.noPlaying(ctx.Path), false)
		return res, nil, err
	}
	return &base.Response{StatusCode: base.StatusOK}, nil, nil
}

// OnRecord implements gortsplib.ServerHandlerOnRecord.
func (h *handler) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	c, ok := ctx.Session.UserData().(*session)
	if !ok {
		return &base.Response{StatusCode: base.StatusBadRequest}, errors.New("RECORD without ANNOUNCE")
	}
	if err := c.record(); err != nil {
		return h.refuse(peerOf(ctx.Conn.NetConn()), err, false)
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnSessionClose implements gortsplib.ServerHandlerOnSessionClose.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	c, ok := ctx.Session.UserData().(*session)
	if !ok {
		return
	}
	var bye liberrors.ErrServerSessionTornDown
	var gone liberrors.ErrServerSessionNotInUse
	switch err := ctx.Error; {
	case errors.As(err, &bye):
		c.close(nil)
	case errors.As(err, &gone):
		c.close(errGone)
	default:
		c.close(err)
	}
}

// OnDecodeError implements gortsplib.ServerHandlerOnDecodeError.
func (h *handler) OnDecodeError(ctx *gortsplib.ServerHandlerOnDecodeErrorCtx) {
	if c, ok := ctx.Session.UserData().(*session); ok {
		c.malformed(ctx.Error)
	}
}

// OnPacketsLost implements gortsplib.ServerHandlerOnPacketsLost. The tracks' gates find losses, and of which track; without
// this gortsplib would print them.
func (h *handler) OnPacketsLost(*gortsplib.ServerHandlerOnPacketsLostCtx) {}

// OnConnClose implements gortsplib.ServerHandlerOnConnClose. A session ends with its connection even over UDP, for which
// RFC 2326 1.1 would let it live: encoders keep it open, and when one is switched off, the name is free at once.
func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	nc := ctx.Conn.NetConn()
	p := peerOf(nc)
	if c := p.present(); c != nil {
		c.stop(errGone)
	}
	p.mu.Lock()
	how, asked, requests := p.how, p.asked, p.requests
	p.mu.Unlock()
	if how == resultNoPublish {
		_, encrypted := nc.(*tls.Conn)
		switch {
		case asked:
			how = resultRefused
			h.metrics.refusals.Count(ingest.ReasonBadKey)
		case encrypted && requests == 0 && !errors.Is(ctx.Error, io.EOF):
			how = resultBadHandshake
		case !errors.Is(ctx.Error, io.EOF) && !errors.As(ctx.Error, new(liberrors.ErrServerTerminated)):
			how = resultProtocol
		}
	}
	h.metrics.results[how].Inc()
	level := slog.LevelDebug
	switch {
	case asked && how == resultRefused:
		level = slog.LevelWarn
	case how == resultProtocol && requests > 0: // strangers who speak something else are counted, and do not fill the log
		level = slog.LevelInfo
	}
	message := ""
	if ctx.Error != nil {
		message = said(ctx.Error)
	}
	p.log.Log(context.Background(), level, "rtsp: connection ended", "result", string(how),
		"asked_for_key", asked, "error", message)
}

// said is an error of gortsplib's for the log. Those that repeat what the peer sent are left out: a request that cannot be read
// may have a key in it.
func said(err error) string {
	var r *ingest.Refusal
	var auth liberrors.ErrServerAuth
	switch {
	case errors.As(err, &r):
		return r.Message
	case errors.Is(err, errEarly), errors.Is(err, errSlow), errors.Is(err, errRate), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err.Error()
	case errors.As(err, &auth):
		return "a wrong key"
	}
	return fmt.Sprintf("%T", err)
}
