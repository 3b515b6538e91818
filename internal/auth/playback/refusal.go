package playback

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Reason is why a request is refused, for programs: a field of the answer, a header of it, and a label of the metric.
type Reason string

// The reasons.
const (
	Missing        Reason = "missing"
	Malformed      Reason = "malformed"
	UnknownKey     Reason = "unknown_key"
	BadSignature   Reason = "bad_signature"
	Expired        Reason = "expired"
	WrongStream    Reason = "wrong_stream"
	WrongPath      Reason = "wrong_path"
	WrongCountry   Reason = "wrong_country"
	UnknownCountry Reason = "unknown_country"
	TooMany        Reason = "too_many_viewers"
)

// ReasonHeader has the Reason in an answer that refuses, for proxies, which do not see what else it says.
const ReasonHeader = "Pushcart-Refused"

// Refusal is why a request is not let in. There is one of each reason.
type Refusal struct {
	Reason Reason
	// Status is 401 where what came is no good at all, 403 where it is not good for this, 404 where nothing can be.
	Status int
	// Detail is a whole sentence, for the viewer.
	Detail string

	body []byte
}

// Error implements error.
func (f *Refusal) Error() string { return f.Detail }

// refusals are all there are.
var refusals = func() map[Reason]*Refusal {
	all := map[Reason]*Refusal{}
	for _, f := range []*Refusal{
		{Reason: Missing, Status: 401, Detail: "This stream is played by a signed address only, which begins with " + Prefix + ": ask whoever shared it for one."},
		{Reason: Malformed, Status: 401, Detail: "This address is not whole, or was changed: use it exactly as it was given out."},
		{Reason: UnknownKey, Status: 401, Detail: "This address is not good any more, since the key that it was signed with is not in use: ask for a new one."},
		{Reason: BadSignature, Status: 401, Detail: "This address was not signed by this service, or was changed: use it exactly as it was given out."},
		{Reason: Expired, Status: 401, Detail: "This address has expired: ask for a new one."},
		{Reason: WrongStream, Status: 403, Detail: "This address is for another stream."},
		{Reason: WrongPath, Status: 404, Detail: "There is nothing below a signed address but the watch page of a stream, its media, its cards and what they load."},
		{Reason: WrongCountry, Status: 403, Detail: "This address is not for the country that you are in."},
		{Reason: UnknownCountry, Status: 403, Detail: "This address is for some countries only, and the node does not know in which one you are. " +
			"Whoever runs it sets routing.country_header to the header in which its proxy or CDN sends the country, and names that one in http.trusted_proxies or http.cdn_secrets."},
		{Reason: TooMany, Status: 403, Detail: "As many viewers as this address is for use it at this time: try again when one of them has gone."},
	} {
		body, err := json.MarshalIndent(map[string]any{
			"type": "about:blank", "title": http.StatusText(f.Status), "status": f.Status, "detail": f.Detail, "reason": f.Reason,
		}, "", "  ")
		if err != nil {
			panic(err) // not reached: it is text and a number
		}
		f.body = append(body, '\n')
		all[f.Reason] = f
	}
	return all
}()

// write answers with the refusal, as a problem document (RFC 9457) that nobody keeps.
func (f *Refusal) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(f.body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(ReasonHeader, string(f.Reason))
	if f.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Signed-Address realm="pushcart"`) // RFC 9110 15.5.2 wants one; no program has an answer to it
	}
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.body) // a client that goes away is no fault of ours
	}
}
