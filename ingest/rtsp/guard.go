package rtsp

import (
	"bytes"
	"strings"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"pushcart/ingest"
)

// Bounds of a session description. gortsplib reads it before anybody is asked for a key, and looks through all attributes of a
// medium again for each of its formats: what fits into 128 KiB would keep a processor busy for a minute.
const (
	// mostMedia is how many media it may have, wanted or not.
	mostMedia = 40
	// mostFormats is how many formats each of them may offer.
	mostFormats = 16
	// largestDescription is its size in bytes; encoders send one or two thousand.
	largestDescription = 32 << 10
)

// tooMuch refuses a session description that asks for more than is reasonable, without parsing it: by the lines as gortsplib's
// parser divides them.
func tooMuch(body []byte) *ingest.Refusal {
	media := 0
	for line := range bytes.SplitSeq(bytes.ReplaceAll(body, []byte("\r"), nil), []byte("\n")) {
		if !bytes.HasPrefix(line, []byte("m=")) {
			continue
		}
		media++
		if n := len(bytes.Fields(line)) - 3; n > mostFormats { // behind the kind, the port and the profile (RFC 4566 5.14)
			return ingest.Refuse(ingest.ReasonLimit, "A track of the session description has %d formats, and %d is the most that is taken.", n, mostFormats)
		}
	}
	if media > mostMedia {
		return ingest.Refuse(ingest.ReasonLimit, "The session description has %d tracks, and %d is the most that is taken.", media, mostMedia)
	}
	if len(body) > largestDescription {
		return ingest.Refuse(ingest.ReasonLimit, "The session description has %d bytes, and %d is the most that is taken.", len(body), largestDescription)
	}
	return nil
}

// nobody is a session's name that no session has.
const nobody = "none"

// disarm takes out of a request what would make gortsplib work for somebody who has not published anything yet.
func disarm(sc *gortsplib.ServerConn, req *base.Request, announced bool) {
	if sc.Session() == nil && len(req.Header["Session"]) > 0 {
		// A session's requests come on the connection that it began on. While one on another connection waits for a session that
		// is busy, gortsplib's server takes no other connection and no other session's request.
		req.Header["Session"] = base.HeaderValue{nobody}
	}
	if req.Method != base.Setup {
		return
	}
	if !announced {
		delete(req.Header, "User-Agent") // GStreamer's is answered a second later
	}
	for i, v := range req.Header["Transport"] {
		// A name there would be looked up, and the answer waited for, which is of no use: media come from the publisher's address.
		req.Header["Transport"][i] = strings.ReplaceAll(v, "source=", "ignored=")
	}
}
