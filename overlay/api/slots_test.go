package api

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"pushcart/overlay"
)

func (h *house) slots() (s Slots) {
	h.t.Helper()
	a := h.must("GET", "/slots", "")
	a.into(&s)
	if got := a.header.Get("ETag"); got != slotsTag(s.Epoch, s.Seq) {
		h.t.Errorf("the slots' ETag is %s, their state %d-%d", got, s.Epoch, s.Seq)
	}
	return s
}

// TestSlots shows, replaces and hides.
func TestSlots(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before := h.slots()
	if s := before; s.Slots == nil || s.Scheduled == nil || len(s.Slots)+len(s.Scheduled) != 0 {
		t.Errorf("before any: %+v", s)
	}
	h.must("PUT", "/cards", "["+doc("lamp")+","+doc("sofa")+"]")
	var r overlay.Result
	a := h.must("PUT", "/slots/main", `{"card":"lamp"}`)
	if a.into(&r); r.Slot != "main" || r.Card != "lamp" || r.Rev != 1 || r.Seq != before.Seq+1 || a.header.Get("ETag") != slotsTag(r.Epoch, r.Seq) {
		t.Errorf("%v %+v", a.header, r)
	}
	h.must("PUT", "/slots/main", `{"card":"sofa"}`)
	h.must("PUT", "/slots/offer", `{"card":"lamp"}`)
	if s := h.slots(); len(s.Slots) != 2 || s.Slots[0].Card != "sofa" || s.Slots[1].Slot != "offer" || s.Seq != before.Seq+3 {
		t.Errorf("%+v", s)
	}
	h.ask("DELETE", "/cards/lamp", "").refused(http.StatusConflict, overlay.ReasonConflict, "")
	h.must("DELETE", "/slots/offer", "")
	h.must("DELETE", "/slots/offer", "") // no error
	h.must("DELETE", "/slots", "")
	if s := h.slots(); len(s.Slots) != 0 {
		t.Errorf("%+v", s)
	}
	var line Timeline
	h.must("GET", "/timeline", "").into(&line)
	if len(line.Timeline) != 3 || line.Timeline[0].Source != "api" || line.Timeline[2].Card != "lamp" || line.Timeline[2].To == nil {
		t.Errorf("%+v", line)
	}
	h.ask("PUT", "/slots/main", `{"card":"rug"}`).refused(http.StatusNotFound, overlay.ReasonNotFound, "card")
	h.ask("PUT", "/slots/Main", `{"card":"lamp"}`).refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, "slot")
}

// TestScheduled: a time puts a command off, and it can be taken back.
func TestScheduled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.must("PUT", "/cards/lamp", lamp)
	later := time.Now().Add(time.Hour).Truncate(time.Second).In(time.FixedZone("", 2*3600))
	var r overlay.Result
	h.must("PUT", "/slots/main", fmt.Sprintf(`{"card":"lamp","at":%q}`, later.Format(time.RFC3339))).into(&r)
	if r.Schedule == "" || r.At == nil || !r.At.Equal(later) {
		t.Errorf("%+v", r)
	}
	first := r.Schedule
	h.must("DELETE", "/slots/main?at="+url.QueryEscape(later.Format(time.RFC3339Nano)), "").into(&r)
	h.must("DELETE", "/slots?at="+url.QueryEscape(later.UTC().Format(time.RFC3339)), "")
	s := h.slots()
	if len(s.Scheduled) != 3 || s.Scheduled[0].Op != overlay.OpShow || s.Scheduled[1].Op != overlay.OpHide || s.Scheduled[2].Slot != "" || !s.Scheduled[0].At.Equal(later) {
		t.Errorf("%+v", s)
	}
	h.must("DELETE", "/schedule/"+first, "")
	h.ask("DELETE", "/schedule/"+first, "").refused(http.StatusNotFound, overlay.ReasonNotFound, "schedule")
	if s := h.slots(); len(s.Scheduled) != 2 {
		t.Errorf("%+v", s)
	}
	for _, bad := range []string{"tomorrow", "2026-03-01", "20:15", "2026-03-01T20:15:00", "1764000000"} {
		h.ask("PUT", "/slots/main", fmt.Sprintf(`{"card":"lamp","at":%q}`, bad)).refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, "at")
		h.ask("DELETE", "/slots/main?at="+bad, "").refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, "at")
	}
	// A plus sign in an address is a space.
	h.ask("DELETE", "/slots?at=2036-03-01T20:15:00+01:00", "").refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, "at")
	h.ask("PUT", "/slots/main", `{"card":"lamp","at":"2099-01-01T00:00:00Z"}`).refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, "at")
}

// TestQueryIsStrict: a mistyped "at" does not hide a card at once.
func TestQueryIsStrict(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.must("PUT", "/cards/lamp", lamp)
	h.must("PUT", "/slots/main", `{"card":"lamp"}`)
	for path, field := range map[string]string{
		"/slots/main?when=2036-03-01T20:15:00Z":                       "when",
		"/slots/main?at=2036-03-01T20:15:00Z&at=2036-03-01T20:16:00Z": "at",
		"/slots/main?at=2036-03-01T20:15:00Z&now=1":                   "now",
		"/slots?;":            "",
		"/slots?%zz=1":        "",
		"/cards/lamp?force=1": "force",
	} {
		h.ask("DELETE", path, "").refused(http.StatusBadRequest, reasonMalformed, field)
	}
	h.ask("GET", "/slots?slot=main", "").refused(http.StatusBadRequest, reasonMalformed, "slot")
	if s := h.slots(); len(s.Slots) != 1 {
		t.Errorf("%+v", s)
	}
}

// TestSettings turns cards that come with the media off and on.
func TestSettings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var s Settings
	if h.must("GET", "/card-settings", "").into(&s); !s.InBand {
		t.Errorf("%+v", s)
	}
	h.must("PATCH", "/card-settings", `{"in_band":false}`, "Content-Type", kindMerge)
	if h.must("GET", "/card-settings", "").into(&s); s.InBand {
		t.Errorf("%+v", s)
	}
	for body, field := range map[string]string{
		`{}`: "in_band", `{"in_band":null}`: "in_band", `{"in_band":"yes"}`: "in_band", `{"In_Band":true}`: "In_Band",
		`{"in_band":true,"in_band":false}`: "in_band", `[]`: "", `true`: "",
	} {
		h.ask("PATCH", "/card-settings", body).refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, field)
	}
}
