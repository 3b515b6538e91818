package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/auth"
	"pushcart/overlay"
)

// dashboard is a client that follows a stream's cards, in the test's own time.
type dashboard struct {
	h      *house
	leave  context.CancelFunc
	done   chan struct{} // closed when the handler has returned
	events chan string   // as they are flushed

	mu       sync.Mutex // guards what follows
	header   http.Header
	status   int
	unsent   bytes.Buffer
	deadline time.Time
	fault    error
	loose    int // bytes written without a deadline
}

// Header implements http.ResponseWriter.
func (d *dashboard) Header() http.Header { return d.header }

// WriteHeader implements http.ResponseWriter.
func (d *dashboard) WriteHeader(status int) { d.status = status }

// Write implements http.ResponseWriter.
func (d *dashboard) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil {
		return 0, d.fault
	}
	if left := time.Until(d.deadline); left <= 0 || left > eventTime {
		d.loose += len(b)
	}
	return d.unsent.Write(b)
}

// FlushError is for http.ResponseController.
func (d *dashboard) FlushError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for event := range strings.SplitAfterSeq(d.unsent.String(), "\n\n") {
		if event != "" {
			d.events <- event
		}
	}
	d.unsent.Reset()
	return d.fault
}

// SetWriteDeadline is for http.ResponseController.
func (d *dashboard) SetWriteDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deadline = t
	return nil
}

// follow opens a dashboard from an address.
func (h *house) follow(from, token string) *dashboard {
	h.t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	d := &dashboard{h: h, leave: leave, done: make(chan struct{}), events: make(chan string, 1000), header: http.Header{}}
	r, err := http.NewRequestWithContext(ctx, "GET", "/api/v1/streams/show/card-events", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.RemoteAddr = from
	r.Header.Set("Authorization", "Bearer "+token)
	go func() {
		defer close(d.done)
		h.mux.ServeHTTP(d, r)
	}()
	return d
}

// got returns the events so far.
func (d *dashboard) got() (events []string) {
	synctest.Wait()
	for {
		select {
		case e := <-d.events:
			events = append(events, e)
		default:
			return events
		}
	}
}

// views returns those of the events so far that are views, and holds them to their form.
func (d *dashboard) views() (views []overlay.View) {
	d.h.t.Helper()
	for _, e := range d.got() {
		name, rest, ok := strings.Cut(e, "\n")
		if !ok || name != "event: view" {
			continue
		}
		id, data, _ := strings.Cut(strings.TrimSuffix(rest, "\n\n"), "\ndata: ")
		var v overlay.View
		if err := json.Unmarshal([]byte(data), &v); err != nil || strings.Contains(data, "\n") {
			d.h.t.Fatalf("%v: %q", err, e)
		}
		if want := fmt.Sprintf("id: %d-%d-%d", v.Epoch, v.Seq, v.List); id != want {
			d.h.t.Errorf("the identifier is %q, want %q", id, want)
		}
		var any any
		if err := decodeJSON([]byte(data), &any); err != nil {
			d.h.t.Fatal(err)
		}
		spec := describedAs(d.h.t)
		for _, complaint := range spec.validate(at(spec.root, "components", "schemas", "View"), any, "view") {
			d.h.t.Errorf("%s: %s", complaint, data)
		}
		views = append(views, v)
	}
	return views
}

// ended tells whether the stream of events is over.
func (d *dashboard) ended() bool {
	synctest.Wait()
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// inTime runs a test in time of its own, with a house that is closed at its end.
func inTime(t *testing.T, test func(h *house)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		test(h)
		h.Close()
		h.desks.Close()
		synctest.Wait()
	})
}

const here = "127.0.0.1:5000"

// TestEvents: the view comes at once, and each newer one.
func TestEvents(t *testing.T) {
	inTime(t, func(h *house) {
		h.must("PUT", "/cards/lamp", lamp)
		d := h.follow(here, showToken)
		first := d.views()
		if len(first) != 1 || len(first[0].Cards) != 1 || len(first[0].Slots) != 0 {
			t.Fatalf("%+v", first)
		}
		for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "Access-Control-Allow-Origin": ""} {
			if got := d.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		time.Sleep(time.Minute)
		d.got()
		h.must("PUT", "/slots/main", `{"card":"lamp"}`)
		if v := d.views(); len(v) != 1 || len(v[0].Slots) != 1 || v[0].Seq <= first[0].Seq {
			t.Errorf("%+v", v)
		}
		time.Sleep(eventPace)
		h.must("PUT", "/cards/sofa", doc("sofa"))
		if v := d.views(); len(v) != 1 || len(v[0].Cards) != 2 {
			t.Errorf("%+v", v)
		}
		d.leave()
		if !d.ended() {
			t.Error("the client is gone, the handler is not")
		}
		if d.loose > 0 || !d.deadline.IsZero() {
			t.Errorf("%d bytes were written without a deadline; afterwards it is %v", d.loose, d.deadline)
		}
	})
}

// TestEventsKeepPace: of views that come quickly, the last one counts.
func TestEventsKeepPace(t *testing.T) {
	inTime(t, func(h *house) {
		h.must("PUT", "/cards", "["+doc("lamp")+","+doc("sofa")+"]")
		d := h.follow(here, showToken)
		d.got()
		const changes = 100
		began := time.Now()
		for i := range changes { // 50 a second
			h.must("PUT", "/slots/main", `{"card":"`+[]string{"lamp", "sofa"}[i%2]+`"}`)
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(eventPace)
		var now Slots
		h.must("GET", "/slots", "").into(&now)
		views := d.views()
		if most := int(time.Since(began)/eventPace) + 1; len(views) > most || len(views) < most/2 {
			t.Errorf("%d views for %d changes, want about %d", len(views), changes, most)
		}
		for i, v := range views[1:] {
			if v.Seq <= views[i].Seq {
				t.Errorf("view %d is not newer than the one before", i+1)
			}
		}
		if last := views[len(views)-1]; last.Seq != now.Seq {
			t.Errorf("the last view is of %d, the state of %d", last.Seq, now.Seq)
		}
	})
}

// TestEventsAreShared: those who follow the same stream get the same bytes.
func TestEventsAreShared(t *testing.T) {
	inTime(t, func(h *house) {
		a, b := h.follow(here, showToken), h.follow(here, anyToken)
		if x, y := a.got(), b.got(); len(x) == 0 || strings.Join(x, "") != strings.Join(y, "") {
			t.Errorf("%q and %q", x, y)
		}
		f := h.feeds.byStream["show"]
		v := &overlay.View{Stream: "show", Seq: 7}
		one, err := f.eventOf(v)
		if err != nil {
			t.Fatal(err)
		}
		if two, _ := f.eventOf(v); &one[0] != &two[0] {
			t.Error("the same view is written twice")
		}
		if other, _ := f.eventOf(&overlay.View{Stream: "show", Seq: 7, InBand: true}); bytes.Equal(one, other) {
			t.Error("a view with another setting is taken for the same")
		}
	})
}

// TestEventsOfASilentStream: a comment shows that the connection is alive.
func TestEventsOfASilentStream(t *testing.T) {
	inTime(t, func(h *house) {
		d := h.follow(here, showToken)
		d.got()
		time.Sleep(eventIdle - time.Millisecond)
		if e := d.got(); len(e) != 0 {
			t.Errorf("too early: %q", e)
		}
		for range 3 {
			time.Sleep(eventIdle)
			if e := d.got(); len(e) != 1 || !strings.HasPrefix(e[0], ":") {
				t.Errorf("%q", e)
			}
		}
	})
}

// TestEventsEnd: with the token, with the node, and with a client that takes nothing.
func TestEventsEnd(t *testing.T) {
	inTime(t, func(h *house) {
		show, master := h.follow(here, showToken), h.follow(here, anyToken)
		stuck := h.follow(here, anyToken)
		synctest.Wait()
		h.permit(auth.Entry{Stream: "show", Key: showToken}, auth.Entry{Stream: "*", Key: anyToken}, auth.Entry{Stream: "new", Key: "token-of-a-new-one"})
		if show.ended() || master.ended() {
			t.Error("ended although the tokens are still good")
		}
		h.permit(auth.Entry{Stream: "*", Key: anyToken})
		if !show.ended() || master.ended() {
			t.Errorf("the token of the show was revoked: ended %v; the other one was not: ended %v", show.ended(), master.ended())
		}
		stuck.mu.Lock()
		stuck.fault = context.DeadlineExceeded
		stuck.mu.Unlock()
		time.Sleep(eventIdle)
		if !stuck.ended() || master.ended() {
			t.Error("a client that takes nothing is kept, or another one is not")
		}
		h.Close()
		h.Close()
		if !master.ended() {
			t.Error("the node stops, the stream of events does not")
		}
		if n := len(h.feeds.byStream) + len(h.feeds.byAddress); n != 0 {
			t.Errorf("%d feeds are left", n)
		}
	})
}

// TestEventsAreLimited: by address and by stream, and who leaves makes room.
func TestEventsAreLimited(t *testing.T) {
	inTime(t, func(h *house) {
		var all []*dashboard
		for i := range maxFeedsPerAddress {
			all = append(all, h.follow(fmt.Sprintf("192.0.2.1:%d", i), showToken))
		}
		synctest.Wait()
		if d := h.follow("192.0.2.1:99", showToken); !d.ended() || d.status != http.StatusTooManyRequests || d.header.Get("Retry-After") == "" {
			t.Errorf("one more of an address: %d %v", d.status, d.header)
		}
		for i := len(all); i < maxFeedsPerStream; i++ {
			all = append(all, h.follow(fmt.Sprintf("192.0.2.%d:1", 2+i), showToken))
		}
		synctest.Wait()
		if d := h.follow("198.51.100.1:1", showToken); !d.ended() || d.status != http.StatusTooManyRequests {
			t.Errorf("one more of a stream: %d", d.status)
		}
		all[0].leave()
		if !all[0].ended() {
			t.Error("it does not leave")
		}
		if d := h.follow("192.0.2.1:99", showToken); d.ended() || d.status != http.StatusOK {
			t.Errorf("after one left: %d", d.status)
		}
	})
}

// TestEventsOverHTTP follows over a real connection, as long as the server's own limits on writing last, and longer.
func TestEventsOverHTTP(t *testing.T) {
	t.Parallel()
	for _, second := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %v", second), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.must("PUT", "/cards/lamp", lamp)
			client, base := h.serve(t, second)
			r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/api/v1/streams/show/card-events", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+showToken)
			response, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if second != (response.ProtoMajor == 2) {
				t.Fatalf("it is %s", response.Proto)
			}
			events := reader(response.Body)
			for i := range 5 {
				if e := events(); !strings.Contains(e, `"seq":`) {
					t.Fatalf("event %d is %q", i, e)
				}
				// Longer than the server lets other answers take.
				<-time.After(2 * serverLimit)
				h.must("PATCH", "/cards/lamp", fmt.Sprintf(`{"sku":"L-%d"}`, i))
			}
			h.Close()
			for e := events(); e != ""; e = events() {
				if !strings.Contains(e, `"seq":`) {
					t.Errorf("at the end it says %q", e)
				}
			}
		})
	}
}
