package hls

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"pushcart/packager/window"
)

// segment answers for a whole segment; one that is being made is waited for.
func (h *Handler) segment(w http.ResponseWriter, r *http.Request, p *window.Presentation, rend *window.Rendition, pos window.Position) {
	s := rend.Load()
	g := s.Segment(pos.MSN)
	if g != nil && !g.Complete {
		s = h.await(w, r, kindSegment, p, rend, func(s *window.Snapshot) bool {
			g := s.Segment(pos.MSN)
			return g == nil || g.Complete
		})
		if s == nil {
			return
		}
		g = s.Segment(pos.MSN)
	}
	if g == nil || g.Gap() {
		h.fail(w, kindSegment, http.StatusNotFound, "no such segment: it is too old, not yet begun, or a gap")
		return
	}
	h.send(w, r, kindSegment, rend.Video, nameOf(g.Gen, pos), g.Body(), g.Size)
}

// part answers for a part; the one that is hinted at is waited for.
func (h *Handler) part(w http.ResponseWriter, r *http.Request, p *window.Presentation, rend *window.Rendition, pos window.Position) {
	s := rend.Load()
	part, ok := s.Part(pos)
	if !ok && comes(s, pos) {
		s = h.await(w, r, kindPart, p, rend, func(s *window.Snapshot) bool {
			_, ok := s.Part(pos)
			return ok || !comes(s, pos)
		})
		if s == nil {
			return
		}
		part, ok = s.Part(pos)
	}
	if !ok || part.Gap {
		h.fail(w, kindPart, http.StatusNotFound, "no such part: it is too old, not hinted at, or a gap")
		return
	}
	h.send(w, r, kindPart, rend.Video, nameOf(p.Settings.Gen, pos), [][]byte{part.Data}, len(part.Data))
}

// comes tells whether a part that is not there may be the next one: the one after the last, or the first of the segment
// after that.
func comes(s *window.Snapshot, pos window.Position) bool {
	if s.Ended {
		return false
	}
	if g := s.Open(); g != nil && pos.MSN == g.MSN {
		return pos.Part == len(g.Parts)
	}
	return pos == window.Position{MSN: s.NextMSN}
}

func nameOf(gen int64, pos window.Position) string {
	b := make([]byte, 0, 32)
	b = strconv.AppendInt(b, gen, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, pos.MSN, 10)
	if pos.Part >= 0 {
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(pos.Part), 10)
	}
	return string(b)
}

var (
	cacheImmutable = []string{"public, max-age=31536000, immutable"}
	typeVideo      = []string{"video/mp4"}
	typeAudio      = []string{"audio/mp4"}
	acceptRanges   = []string{"bytes"}
)

// send answers with immutable media.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, k kind, video bool, name string, bodies [][]byte, size int) {
	head := w.Header()
	head["Content-Type"] = typeAudio
	if video {
		head["Content-Type"] = typeVideo
	}
	head["Cache-Control"] = cacheImmutable
	head["Etag"] = []string{`"` + name + `"`}
	h.allowTime(w, size)
	if r.Header.Get("Range") != "" || r.Header.Get("If-None-Match") != "" {
		var content io.ReadSeeker
		if len(bodies) == 1 {
			content = bytes.NewReader(bodies[0])
		} else {
			content = &joined{bodies: bodies, size: int64(size)}
		}
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		http.ServeContent(rec, r, "", time.Time{}, content)
		h.opt.Metrics.request(k, rec.status, rec.n)
		return
	}
	head["Accept-Ranges"] = acceptRanges
	head["Content-Length"] = []string{strconv.Itoa(size)}
	n := 0
	if r.Method != http.MethodHead {
		for _, b := range bodies {
			m, err := write(w, r, b)
			n += m
			if err != nil {
				break
			}
		}
	}
	h.opt.Metrics.request(k, http.StatusOK, n)
}

// readGrace is what a viewer gets on top of the time that a response takes at the slowest permitted rate.
const readGrace = 10 * time.Second

// smallResponse in bytes fits a socket's send buffer: writing it does not wait for the viewer, and the server's own write
// timeout is enough.
const smallResponse = 64 << 10

// allowTime sets the write deadline to what a viewer at the slowest permitted rate needs. The server sets it back for the
// connection's next request.
func (h *Handler) allowTime(w http.ResponseWriter, size int) {
	if size < smallResponse {
		return
	}
	var deadline time.Time
	if rate := h.opt.Settings().MinReadRate; rate > 0 {
		need := time.Duration(float64(size) / float64(rate) * float64(time.Second))
		deadline = time.Now().Add(readGrace + need)
	}
	// A writer that knows no deadlines is a test's.
	_ = http.NewResponseController(w).SetWriteDeadline(deadline)
}

// recorder notes what http.ServeContent answered.
type recorder struct {
	http.ResponseWriter
	status, n int
}

func (w *recorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.n += n
	return n, err
}

// Unwrap lets http.ResponseController through.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// joined reads several slices as one.
type joined struct {
	bodies [][]byte
	size   int64
	at     int64
}

// Seek implements io.Seeker.
func (j *joined) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += j.at
	case io.SeekEnd:
		offset += j.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start of a segment")
	}
	j.at = offset
	return offset, nil
}

// Read implements io.Reader.
func (j *joined) Read(b []byte) (int, error) {
	at := j.at
	for _, body := range j.bodies {
		if at < int64(len(body)) {
			n := copy(b, body[at:])
			j.at += int64(n)
			return n, nil
		}
		at -= int64(len(body))
	}
	return 0, io.EOF
}
