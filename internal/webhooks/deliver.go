package webhooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Bounds on a receiver's answer.
const (
	mostAnswer       = 64 << 10 // bytes of the body that are read, so that the connection can be used again
	mostAnswerHeader = 64 << 10
	dialTimeout      = 5 * time.Second
)

// newClient makes the client of all targets: redirects are failures, certificates are verified.
func newClient(opt Options) *http.Client {
	transport := opt.transport
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialTimeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    mostRequests,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: mostAnswerHeader,
			DisableCompression:     true,
		}
	}
	return &http.Client{
		Transport: transport, Timeout: opt.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func randomly() float64 { return rand.Float64() }

// outcome of a request.
type outcome struct {
	ok, cancelled, damaged bool
	reason                 string        // why it failed, for metrics
	err                    error         // in words, without the URL
	hold                   time.Duration // that the receiver asks for
}

// Reasons for which a request fails.
const (
	failTimeout  = "timeout"
	failConnect  = "connect"
	failTLS      = "tls"
	failRedirect = "redirect"
	failRefused  = "status_4xx"
	failServer   = "status_5xx"
	failStatus   = "status_other"
	failGone     = "gone"
)

// deliver sends an event once.
func (d *Dispatcher) deliver(ctx context.Context, t *Target, e *event) outcome {
	body, err := d.body(e)
	if err != nil {
		return outcome{damaged: true, err: err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(body))
	if err != nil {
		return outcome{reason: failConnect, err: errors.New("its url cannot be used")}
	}
	now := d.opt.Now()
	h := r.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "pushcart-webhooks")
	sign(h, t.Secrets, e.id, now, body)
	answer, err := d.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return outcome{cancelled: true}
		}
		return failure(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, mostAnswer)) // the status says it all
	if ctx.Err() != nil && answer.StatusCode/100 != 2 {
		return outcome{cancelled: true}
	}
	return judge(answer, now)
}

// body reads an event from the queue.
func (d *Dispatcher) body(e *event) ([]byte, error) {
	d.mu.Lock()
	s := d.store
	d.mu.Unlock()
	if s == nil {
		if e.body == nil {
			return nil, errRecord
		}
		return e.body, nil
	}
	return s.read(e)
}

// judge reads an answer.
func judge(answer *http.Response, now time.Time) outcome {
	o := outcome{err: fmt.Errorf("it answers %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))}
	switch code := answer.StatusCode; {
	case code/100 == 2:
		return outcome{ok: true}
	case code == http.StatusGone:
		o.reason = failGone
	case code/100 == 3:
		o.reason = failRedirect
	case code/100 == 4:
		o.reason = failRefused
	case code/100 == 5:
		o.reason = failServer
	default:
		o.reason = failStatus
	}
	if code := answer.StatusCode; code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		o.hold = retryAfter(answer.Header.Get("Retry-After"), now)
	}
	return o
}

// retryAfter reads Retry-After (RFC 9110 10.2.3); 0 where it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// failure words an error of the client without the URL, which may have a password in it.
func failure(err error) outcome {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	o := outcome{reason: failConnect, err: err}
	var timeout net.Error
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &name), errors.As(err, &verify), errors.As(err, &record):
		o.reason = failTLS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		o.reason, o.err = failTimeout, errors.New("it does not answer in time")
	}
	return o
}
