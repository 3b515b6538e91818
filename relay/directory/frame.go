package directory

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A request is carried between two nodes as NATS messages. The asking node sends it to pushcart.node.NAME.http, and what belongs
// to it to pushcart.node.NAME.control.ID; the serving node answers to pushcart.node.ASKING.reply.ID. Each message is a frame:
//
//	kind u8 | number u32 | payload        (big endian)
//
// Numbers count up in each direction, over all frames but those that say alive, credit and cancel; alive has the number that
// comes next, so that the loss of a last frame shows as well.
const (
	frameRequest = 1 // u32 length of the JSON of a requestHead, that JSON, then the body, if it is a small one
	frameBody    = 2 // a piece of a larger body, after frameAccept
	frameCredit  = 3 // u32: how many data frames have been taken so far
	frameCancel  = 4
	frameAlive   = 5
	frameAccept  = 6 // the body is wanted
	frameHead    = 7 // JSON of an answerHead
	frameData    = 8
	frameEnd     = 9 // empty, or why the answer is not whole

	frameHeader = 5 // bytes
)

// Limits of carried requests.
const (
	maxBody     = 4 << 20   // bytes of a request's body
	maxInline   = 256 << 10 // of a body that goes with the request
	maxPiece    = 128 << 10 // of a frame of a larger body
	maxData     = 16 << 10  // of a frame of an answer
	window      = 32        // data frames that may be on their way
	maxURI      = 8 << 10
	maxHeader   = 16 << 10 // of a request, names and values
	maxAnswer   = 64 << 10 // of an answer's head
	maxAsked    = 256      // requests at once that this node asks
	maxServed   = 256      // that it serves
	maxServedBy = 128      // that it serves one node
	maxBodies   = 64 << 20 // bytes of bodies at once
	idLength    = 32       // hexadecimal digits
)

// carriedBy is a header that requests have which came over another node: its name. A client cannot set it.
const carriedBy = "Pushcart-Carried"

// requestHeaders are carried to the serving node; no others are.
var requestHeaders = []string{"Content-Type", "Traceparent", "Accept", "Authorization", "Idempotency-Key", "If-Match", "If-None-Match",
	"Last-Event-Id", "Pushcart-Hop"}

// answerDrops are the headers of an answer that are not carried: those of one connection, and cookies.
var answerDrops = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Set-Cookie"}

type requestHead struct {
	ID     string      `json:"id"`
	From   string      `json:"from"`
	Method string      `json:"method"`
	URI    string      `json:"uri"`
	Header http.Header `json:"header,omitempty"`
	Length int         `json:"length,omitempty"` // of the body
}

type answerHead struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
}

func appendFrame(b []byte, kind byte, number uint32, payload []byte) []byte {
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, number)
	return append(b, payload...)
}

// parseFrame takes a message apart; the payload is part of it.
func parseFrame(b []byte) (kind byte, number uint32, payload []byte, err error) {
	if len(b) < frameHeader {
		return 0, 0, nil, errors.New("a frame is too short")
	}
	kind = b[0]
	if kind < frameRequest || kind > frameEnd {
		return 0, 0, nil, fmt.Errorf("there is no frame of kind %d", kind)
	}
	return kind, binary.BigEndian.Uint32(b[1:]), b[frameHeader:], nil
}

// appendRequest writes the payload of frameRequest.
func appendRequest(h requestHead, body []byte) ([]byte, error) {
	j, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(j)+len(body)), uint32(len(j)))
	return append(append(b, j...), body...), nil
}

// parseRequest reads the payload of frameRequest. The body is what came with it.
func parseRequest(b []byte) (h requestHead, uri *url.URL, body []byte, err error) {
	if len(b) < 4 {
		return h, nil, nil, errors.New("a request is too short")
	}
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	// JSON may take six bytes for one.
	if uint64(n) > uint64(len(b)) || n > 6*(maxHeader+maxURI)+4096 {
		return h, nil, nil, errors.New("a request's head is too long")
	}
	if err := json.Unmarshal(b[:n], &h); err != nil {
		return h, nil, nil, fmt.Errorf("a request's head is not JSON: %w", err)
	}
	body = b[n:]
	switch {
	case !validID(h.ID) || !validNode(h.From):
		return h, nil, nil, errors.New("a request has no sender")
	case !validMethod(h.Method):
		return h, nil, nil, errors.New("a request's method is not one")
	case len(h.URI) > maxURI || !strings.HasPrefix(h.URI, "/"):
		return h, nil, nil, errors.New("a request's path is not one")
	case h.Length < 0 || h.Length > maxBody || len(body) > h.Length:
		return h, nil, nil, errors.New("a request's body is too long")
	case len(body) > 0 && len(body) != h.Length:
		return h, nil, nil, errors.New("a request's body is not whole")
	}
	if h.Header, err = allowed(h.Header); err != nil {
		return h, nil, nil, err
	}
	if uri, err = url.ParseRequestURI(h.URI); err != nil {
		return h, nil, nil, fmt.Errorf("a request's path is not one: %w", err)
	}
	return h, uri, body, nil
}

func validID(id string) bool {
	return len(id) == idLength && validToken(id, idLength, func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' })
}

func validMethod(m string) bool {
	return validToken(m, 16, func(c byte) bool { return 'A' <= c && c <= 'Z' })
}

// allowed picks the headers of a request that are carried.
func allowed(from http.Header) (http.Header, error) {
	to, size := http.Header{}, 0
	for _, name := range requestHeaders {
		for _, v := range from.Values(name) {
			if size += len(name) + len(v); size > maxHeader || strings.ContainsAny(v, "\r\n\x00") {
				return nil, errors.New("a request's headers cannot be carried: they are too long, or have line breaks in them")
			}
			to.Add(name, v)
		}
	}
	return to, nil
}

// parseAnswer reads the payload of frameHead.
func parseAnswer(b []byte) (answerHead, error) {
	var h answerHead
	if len(b) > maxAnswer {
		return h, errors.New("an answer's head is too long")
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return h, fmt.Errorf("an answer's head is not JSON: %w", err)
	}
	if h.Status < 200 || h.Status > 599 {
		return h, fmt.Errorf("an answer's status is %d", h.Status)
	}
	clean := http.Header{}
	for name, values := range h.Header {
		name = http.CanonicalHeaderKey(name)
		if strings.ContainsAny(name, " \r\n\x00:") || slices.Contains(answerDrops, name) {
			continue
		}
		for _, v := range values {
			if !strings.ContainsAny(v, "\r\n\x00") {
				clean.Add(name, v)
			}
		}
	}
	h.Header = clean
	return h, nil
}
