package hls

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// posterName is the last element of a poster's path.
const posterName = "poster.jpg"

var (
	typePoster = []string{"image/jpeg"}
	// cachePoster is short, since the next poster has the same path.
	cachePoster = []string{"public, max-age=2"}
	noSniffing  = []string{"nosniff"}
)

// poster answers for a stream's poster. It is no viewing: nobody is counted for it, and no source is fetched.
func (h *Handler) poster(w http.ResponseWriter, r *http.Request, stream string) {
	var jpeg []byte
	var at time.Time
	ok := false
	if h.opt.Poster != nil {
		release, may := h.enter(w, r, waitPoster) // it may have to be made
		if !may {
			return
		}
		jpeg, at, ok = h.opt.Poster(r.Context(), stream)
		release()
	}
	if !ok {
		text := "this stream has no poster, or none yet"
		if h.opt.Registry.get(stream) == nil {
			text = noStream
		}
		h.fail(w, kindPoster, http.StatusNotFound, text)
		return
	}
	head := w.Header()
	head["Content-Type"] = typePoster
	head["X-Content-Type-Options"] = noSniffing
	head["Cache-Control"] = cachePoster
	head["Etag"] = []string{`"` + strconv.FormatInt(at.UnixNano(), 36) + "-" + strconv.FormatInt(int64(len(jpeg)), 36) + `"`}
	h.allowTime(w, len(jpeg))
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	http.ServeContent(rec, r, "", at, bytes.NewReader(jpeg))
	h.opt.Metrics.request(kindPoster, rec.status, rec.n)
}
