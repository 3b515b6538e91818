package overlay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/overlay/card"
	"pushcart/overlay/journal/journaltest"
	"pushcart/overlay/timed"
)

// testKey signs in all tests.
var testKey = sync.OnceValue(func() *timed.Key {
	k, err := timed.NewKey()
	if err != nil {
		panic(err)
	}
	return k
})

// house is a node's desks on a file system in memory.
type house struct {
	*Desks
	t      testing.TB
	fs     *journaltest.Memory
	reg    *prometheus.Registry
	log    *lines
	region string
	inBand bool
	keep   time.Duration
}

// lines keeps what was logged.
type lines struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) has(words string) bool { return l.count(words) > 0 }

func (l *lines) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), words)
}

// newHouse opens desks on what a file system has. They close with the test.
func newHouse(t testing.TB, fsys *journaltest.Memory, set ...func(*Options)) *house {
	t.Helper()
	h := makeHouse(t, fsys, set...)
	t.Cleanup(h.Close)
	return h
}

// visit looks at the desk of a node that starts on what a file system has.
func visit(t testing.TB, fsys *journaltest.Memory, look func(h *house, k *Desk)) {
	t.Helper()
	h := makeHouse(t, fsys)
	defer h.Close()
	look(h, h.desk("show"))
}

func makeHouse(t testing.TB, fsys *journaltest.Memory, set ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, fs: fsys, reg: prometheus.NewRegistry(), log: &lines{}, inBand: true, keep: time.Minute}
	opt := Options{
		Dir: "data", Key: testKey(), Registerer: h.reg, fs: fsys,
		Policy: func() card.Policy { return card.Policy{Hosts: []string{"shop.example.com"}} },
		Region: func() string { return h.region },
		InBand: func() bool { return h.inBand },
		Keep:   func() time.Duration { return h.keep },
		Log:    slog.New(slog.NewTextHandler(h.log, nil)),
	}
	for _, f := range set {
		f(&opt)
	}
	d, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	h.Desks = d
	return h
}

const showJournal = "data/cards/show.journal"

// desk opens a desk that must open.
func (h *house) desk(name string) *Desk {
	h.t.Helper()
	k, err := h.Desk(name)
	if err != nil {
		h.t.Fatal(err)
	}
	return k
}

// counter is the value of a metric, summed over the labels that are not named.
func (h *house) counter(name string, labels ...string) float64 {
	h.t.Helper()
	all, err := h.reg.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	total := 0.0
	for _, f := range all {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			if hasLabels(m, labels) {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return total
}

func hasLabels(m *dto.Metric, values []string) bool {
	for _, v := range values {
		found := false
		for _, l := range m.Label {
			found = found || l.GetValue() == v
		}
		if !found {
			return false
		}
	}
	return true
}

// do carries out a command that must succeed.
func do(t testing.TB, k *Desk, c Command) Result {
	t.Helper()
	r, err := k.Do(context.Background(), c)
	if err != nil {
		t.Fatalf("%s %s: %v", c.Op, c.Card, err)
	}
	return r
}

// no carries out a command that must be refused.
func no(t testing.TB, k *Desk, c Command, reason Reason, field string) *Refusal {
	t.Helper()
	_, err := k.Do(context.Background(), c)
	var r *Refusal
	if !errors.As(err, &r) {
		t.Errorf("%s %s: %v, want a refusal: %s", c.Op, c.Card, err, reason)
		return &Refusal{}
	}
	if r.Reason != reason || r.Field != field || len(r.Message) < 20 || !strings.HasSuffix(r.Message, ".") {
		t.Errorf("%s %s: refused as %s, field %q: %q; want %s, field %q and a sentence", c.Op, c.Card, r.Reason, r.Field, r.Message, reason, field)
	}
	return r
}

// doc is a card document.
func doc(id, name string) string {
	return fmt.Sprintf(`{"id":%q,"@type":"Product","name":%q}`, id, name)
}

func put(id, name string) Command {
	return Command{Op: OpPut, Card: id, Body: []byte(doc(id, name)), Source: "api"}
}

// bulky is a card document of about 3 KB.
func bulky(id string, n int) Command {
	var texts []string
	for _, lang := range []string{"de", "en", "es", "fr", "it", "pt"} {
		texts = append(texts, fmt.Sprintf("%q:%q", lang, strings.Repeat("x", 480)+fmt.Sprint(n)))
	}
	return Command{Op: OpPut, Body: fmt.Appendf(nil, `{"id":%q,"name":"Bulky","description":{%s}}`, id, strings.Join(texts, ","))}
}

func show(slot, id string) Command { return Command{Op: OpShow, Slot: slot, Card: id, Source: "api"} }

func hide(slot string) Command { return Command{Op: OpHide, Slot: slot, Source: "api"} }

// keyed gives a command an idempotency key, and a fingerprint of what it says.
func keyed(key string, c Command) Command {
	b, _ := json.Marshal(c)
	c.Key, c.Fingerprint = key, sha256.Sum256(b)
	return c
}

func ptr[T any](v T) *T { return &v }

// screen keeps what is announced, and holds each announcement against what must always be true.
type screen struct {
	t      testing.TB
	stream string
	began  chan struct{} // closed with the first announcement

	mu    sync.Mutex // guards what follows
	all   []shown
	ahead time.Duration // of its clock against the node's
}

// Clock implements Screen.
func (s *screen) Clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

// setClock has the stream's clock go ahead of the node's.
func (s *screen) setClock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = ahead
}

// shown is an announcement, read.
type shown struct {
	Announcement
	timed.State
}

func newScreen(t testing.TB) *screen {
	return &screen{t: t, stream: "show", began: make(chan struct{})}
}

// Announce implements Screen.
func (s *screen) Announce(a Announcement) {
	token, err := timed.ParseID3(a.Message)
	if err != nil {
		s.t.Errorf("announced %x: %v", a.Message, err)
		return
	}
	st, err := testKey().Public().Verify(token)
	if err != nil || st.Stream != s.stream {
		s.t.Errorf("announced %q of stream %q: %v", token, st.Stream, err)
	}
	if len(a.Open) != len(st.Slots) {
		s.t.Errorf("announced ranges %v with the slots %v", a.Open, st.Slots)
	}
	for i, sl := range st.Slots {
		if want := fmt.Sprintf("%s/%s/%d", sl.Name, sl.Card, sl.Rev); a.Open[i].Value != want {
			s.t.Errorf("range %v of slot %v", a.Open[i], sl)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		close(s.began)
	}
	s.all = append(s.all, shown{a, st})
}

// states returns what was announced so far.
func (s *screen) states() []shown {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]shown(nil), s.all...)
}

// brief is a state in a line: "3 main=lamp/2".
func (s shown) brief() string {
	line := fmt.Sprint(s.Seq)
	for _, sl := range s.Slots {
		line += fmt.Sprintf(" %s=%s/%d", sl.Name, sl.Card, sl.Rev)
	}
	return line
}

func briefs(all []shown) []string {
	var out []string
	for _, s := range all {
		out = append(out, s.brief())
	}
	return out
}

// slotsOf is what a view's slots show, in a line.
func slotsOf(v *View) string {
	var all []string
	for _, s := range v.Slots {
		all = append(all, fmt.Sprintf("%s=%s/%d", s.Slot, s.Card, s.Rev))
	}
	return strings.Join(all, " ")
}

// cardsOf is a view's list, in a line.
func cardsOf(v *View) string {
	var all []string
	for _, c := range v.Cards {
		all = append(all, fmt.Sprintf("%s/%d", c.ID, c.Rev))
	}
	return strings.Join(all, " ")
}
