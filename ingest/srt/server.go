package srt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"pushcart/ingest"
	"pushcart/ingest/feed"
)

// Warnings about those who are not let in, at once and a second; more of them are for debugging.
const (
	warningsAtOnce = 50
	warningsRate   = 1
)

// codeCrypto is SRT_REJ_CRYPTO of libsrt: another way of encrypting.
const codeCrypto gosrt.RejectionReason = 1017

// AES-CTR in key material (draft-sharabayko-srt-01 3.2.2).
const cipherCTR = 2

// Server takes publishers' connections.
type Server struct {
	opt     Options
	metrics *metrics
	ln      *listener

	sessions sync.WaitGroup

	mu      sync.Mutex // guards what follows, and sessions against the end
	closing bool
	warned  feed.Meter
	places  ingest.Places
}

// NewServer opens the listener. Its socket is not read before Run.
func NewServer(opt Options) (*Server, error) {
	opt = opt.withDefaults()
	if err := opt.check(); err != nil {
		return nil, err
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, fmt.Errorf("srt: registering metrics: %w", err)
	}
	ln, err := listen(opt)
	if err != nil {
		return nil, fmt.Errorf("srt: listening on %s: %w", opt.Address, err)
	}
	return &Server{opt: opt, metrics: m, ln: ln}, nil
}

// Addr is the address on which the server listens.
func (s *Server) Addr() net.Addr { return s.ln.pc.LocalAddr() }

// Close gives the port back, of a server that was never run.
func (s *Server) Close() error {
	return s.ln.close()
}

// Run takes connections until ctx ends, which is no error, or the listener fails. It tells the publishers' connections to
// end and returns after the last of its goroutines has ended.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.ln.begin()
	accepting := make(chan error, 1)
	go func() { accepting <- s.accept(ctx) }()
	var failed error
	select {
	case failed = <-accepting:
		cancel()
	case <-ctx.Done():
	}
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.sessions.Wait() // they tell their peers
	s.ln.close()
	if failed == nil {
		<-accepting
		return nil
	}
	if errors.Is(failed, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("srt: accepting on %s: %w", s.Addr(), failed)
}

// accept takes requests until the listener ends.
func (s *Server) accept(ctx context.Context) error {
	for {
		req, err := s.ln.accept()
		if err != nil {
			return err
		}
		remote := req.remote
		id := ingest.NewConn()
		log := s.opt.Log.With("conn", id, "remote", remote)
		if how := s.admit(remote); how != "" {
			s.metrics.results[how].Inc()
			log.Debug("srt: connection refused", "result", string(how))
			code := gosrt.REJX_OVERLOAD
			if how == resultShutdown {
				code = gosrt.REJX_DOWN
			}
			req.reject(code)
			continue
		}
		go func() {
			defer s.leave(remote)
			how, err := s.survive(ctx, req, caller{remote, id, log})
			s.metrics.results[how].Inc()
			log.Debug("srt: connection ended", "result", string(how), "error", err)
		}()
	}
}

// caller is who asks for a connection.
type caller struct {
	remote netip.AddrPort
	id     string // for the log
	log    *slog.Logger
}

// survive keeps a fault in handling one peer's bytes from ending all the others' streams.
func (s *Server) survive(ctx context.Context, req *request, who caller) (how result, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			who.log.Error("srt: a fault of this server's ended a connection; please report it",
				"panic", fault, "stack", string(debug.Stack()))
			req.forget()
			how, err = resultPanic, errPanic
		}
	}()
	return s.serve(ctx, req, who)
}

// addressOf is a peer's address as it is logged and counted.
func addressOf(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok && u != nil {
		p := u.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// admit counts a connection in, unless there are too many. leave ends what it began.
func (s *Server) admit(remote netip.AddrPort) result {
	limits := s.opt.Limits().withDefaults()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return resultShutdown
	}
	switch s.places.Take(remote.Addr(), limits.MaxConnections, limits.MaxConnectionsPerAddress) {
	case ingest.FullServer:
		return resultTooMany
	case ingest.FullNetwork:
		return resultTooManyAddress
	}
	s.sessions.Add(1)
	s.metrics.connections.Inc()
	return ""
}

func (s *Server) leave(remote netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.sessions.Done()
	s.places.Leave(remote.Addr())
	s.metrics.connections.Dec()
}

// serve answers a request, and reads what comes.
func (s *Server) serve(ctx context.Context, req *request, who caller) (result, error) {
	id, how, no := s.judge(req)
	if no != nil {
		s.metrics.refusals.Count(no.reason)
		who.log.Log(ctx, s.loudness(), "srt: "+no.sentence, "code", uint32(no.code))
		req.reject(no.code)
		return how, errors.New(no.sentence)
	}
	x := newSession(s.opt, s.metrics)
	x.encrypted = s.opt.Passphrase != ""
	pub, err := s.opt.Door.Open(ingest.Request{
		Protocol: "srt", Remote: who.remote, Stream: id.name, Key: id.key, Kick: x.kick, Conn: who.id, Context: ctx,
	})
	if err != nil {
		code := gosrt.REJX_FORBIDDEN
		var refusal *ingest.Refusal
		if errors.As(err, &refusal) {
			s.metrics.refusals.Count(refusal.Reason)
			code = codeOf(refusal.Reason)
		}
		req.reject(code)
		return resultRefused, err
	}
	conn := req.accept()
	defer conn.Close()
	x.pub, x.log = pub, who.log.With("stream", pub.Name())
	how, err = x.run(ctx, conn)
	var refusal *ingest.Refusal
	level := slog.LevelDebug
	if how == resultRefused && errors.As(err, &refusal) {
		level = slog.LevelWarn // SRT has no words for it
	}
	x.log.Log(context.WithoutCancel(ctx), level, "srt: session ended", "result", string(how), "reason", err)
	return how, err
}

// loudness is the level for what somebody is told who may be anybody: who asks again and again does not fill the log.
func (s *Server) loudness() slog.Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warned.Take(s.opt.Now(), warningsRate, warningsAtOnce) {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// judge looks at what a request says, cheap things first.
func (s *Server) judge(req *request) (id identifier, how result, no *rejection) {
	limits := s.opt.Limits().withDefaults()
	latency := time.Duration(req.cif.SRTHS.SendTSBPDDelay) * time.Millisecond
	switch {
	case req.cif.MaxTransmissionUnitSize < smallestDatagram:
		return id, resultBadHandshake, &rejection{gosrt.REJ_ROGUE, ingest.ReasonProtocol,
			"The encoder's datagrams hold no packet of a transport stream: set its MTU to 1500."}
	case latency > limits.MaxLatency:
		return id, resultBadHandshake, &rejection{gosrt.REJX_UNACCEPTABLE, ingest.ReasonLimit,
			fmt.Sprintf("The encoder asks for a latency of %v, and %v is the most: lower it.", latency, limits.MaxLatency)}
	}
	if id, no = readIdentifier(req.cif.StreamId); no != nil {
		return id, resultBadIdentifier, no
	}
	if id.play {
		return id, resultPlay, &rejection{gosrt.REJX_BAD_MODE, ingest.ReasonProtocol,
			"This server takes streams over SRT but does not play them. Watch at " + s.opt.Watch("NAME") + "; to publish, say m=publish in the stream identifier."}
	}
	return id, resultPassphrase, s.unlock(req)
}

// unlock checks the passphrase.
func (s *Server) unlock(req *request) *rejection {
	reject := func(code gosrt.RejectionReason, sentence string) *rejection {
		return &rejection{code, ingest.ReasonBadKey, sentence}
	}
	switch wanted := s.opt.Passphrase != ""; {
	case wanted && req.cif.SRTKM == nil:
		return reject(gosrt.REJ_UNSECURE, "The encoder does not encrypt: set the server's passphrase in it.")
	case !wanted && req.cif.SRTKM != nil:
		return reject(gosrt.REJ_UNSECURE, "The encoder encrypts, and the server has no passphrase: take it out of the encoder, or set it in the server's configuration.")
	case !wanted:
		return nil
	case req.cif.SRTKM.Cipher != cipherCTR || req.cif.SRTKM.Authentication != 0:
		return reject(codeCrypto, "The encoder encrypts in another mode than AES-CTR: set its crypto mode to AES-CTR.")
	}
	if req.unlock(s.opt.Passphrase) != nil {
		return reject(gosrt.REJ_BADSECRET, "The encoder's passphrase is wrong: set the server's in it.")
	}
	return nil
}
