package hls

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pushcart/packager/window"
)

// media answers for an initialisation section, a segment or a part; false when the name is none of them. A name may have been given
// by any of the stream's presentations, and by any origin that a presentation had.
func (h *Handler) media(w http.ResponseWriter, r *http.Request, e *entry, folder, file string) bool {
	if strings.HasPrefix(file, initPrefix) {
		return h.initSection(w, r, e, folder, file)
	}
	gen, pos, ok := parseName(file)
	if !ok {
		return false
	}
	a := address{gen, pos}
	k := kindPart
	if pos.Part < 0 {
		k = kindSegment
	}
	known := false
	var p *window.Presentation // that the media are expected of
	var rend *window.Rendition
	for _, o := range e.presentations {
		in := o.Load().Rendition(folder)
		if in == nil {
			continue
		}
		known = true
		s := in.Load()
		switch a.standing(s, o.Copied()) {
		case here:
			h.send(w, r, k, in.Video, a, s)
			return true
		case expected:
			if rend == nil {
				p, rend = o, in
			}
		}
	}
	if rend != nil {
		s := h.await(w, r, k, p, rend, true, func(s *window.Snapshot) bool { return a.standing(s, p.Copied()) != expected })
		if s == nil {
			return true
		}
		if a.standing(s, p.Copied()) == here {
			h.send(w, r, k, rend.Video, a, s)
			return true
		}
	}
	if known {
		h.fail(w, k, http.StatusNotFound, "no such media: they are too old, not announced yet, or a gap")
	}
	return known
}

// initSection answers for an initialisation section; false when there is none such. A copy may hear of one a moment later than the origin.
func (h *Handler) initSection(w http.ResponseWriter, r *http.Request, e *entry, folder, file string) bool {
	for _, p := range e.presentations {
		if rend := p.Load().Rendition(folder); rend != nil {
			if in := rend.Init(file); in != nil {
				h.sendBytes(w, r, kindInit, rend.Video, in.Name, [][]byte{in.Data}, len(in.Data))
				return true
			}
		}
	}
	p := e.presentations[0]
	rend := p.Load().Rendition(folder)
	if rend == nil || !p.Copied() {
		return false
	}
	next := rend.Load().NextMSN + 1
	s := h.await(w, r, kindInit, p, rend, false, func(s *window.Snapshot) bool {
		return rend.Init(file) != nil || s.NextMSN > next || s.Ended || !p.Copied()
	})
	if s == nil {
		return true
	}
	in := rend.Init(file)
	if in != nil {
		h.sendBytes(w, r, kindInit, rend.Video, in.Name, [][]byte{in.Data}, len(in.Data))
	}
	return in != nil
}

var (
	cacheImmutable = []string{"public, max-age=31536000, immutable"}
	typeVideo      = []string{"video/mp4"}
	typeAudio      = []string{"audio/mp4"}
	acceptRanges   = []string{"bytes"}
)

// send answers with what a snapshot has at an address.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, k kind, video bool, a address, s *window.Snapshot) {
	g := a.find(s)
	if a.pos.Part < 0 {
		h.sendBytes(w, r, k, video, nameOf(a.gen, a.pos), g.Body(), g.Size)
		return
	}
	data := g.Parts[a.pos.Part].Data
	h.sendBytes(w, r, k, video, nameOf(a.gen, a.pos), [][]byte{data}, len(data))
}

// sendBytes answers with immutable media.
func (h *Handler) sendBytes(w http.ResponseWriter, r *http.Request, k kind, video bool, name string, bodies [][]byte, size int) {
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
