package overlay

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/overlay/journal/journaltest"
)

// copied is a node that holds copies; its clock is turned by hand.
type copied struct {
	*Copies
	t   *testing.T
	reg *prometheus.Registry

	mu  sync.Mutex // guards now
	now time.Time
}

func newCopied(t *testing.T, region string) *copied {
	t.Helper()
	c := &copied{t: t, reg: prometheus.NewRegistry(), now: time.Now()}
	var err error
	c.Copies, err = NewCopies(CopiesOptions{
		Region: func() string { return region }, Keep: func() time.Duration { return time.Minute }, Registerer: c.reg,
		Now: func() time.Time {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.now
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *copied) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// put takes a document that must be taken.
func (c *copied) put(epoch int64, id string, rev int64, doc string, shown bool) {
	c.t.Helper()
	if err := c.Put("show", epoch, id, rev, []byte(doc), shown); err != nil {
		c.t.Fatal(err)
	}
}

// has tells of a revision: "" when there is none, else its epoch and the document.
func (c *copied) has(id string, rev int64) string {
	d, ok := c.Document("show", id, rev)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d %s", d.Epoch, d.Plain)
}

// TestCopies: what a desk has on its shelf becomes the same documents on a node that copies the stream, and in another region that
// region's.
func TestCopies(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	h.region = "DE"
	k := h.desk("show")
	do(t, k, Command{Op: OpPut, Body: []byte(`{"id":"lamp","name":"Lamp","offers":[{"price":"1.00","priceCurrency":"EUR","eligibleRegion":["DE"]},{"price":"2.00","priceCurrency":"USD","eligibleRegion":["US"]}]}`)})
	do(t, k, put("rug", "Rug"))
	do(t, k, show("main", "lamp"))
	do(t, k, show("main", "rug"))
	same, abroad := newCopied(t, "DE"), newCopied(t, "US")
	documents, _ := h.Shelf("show")
	if len(documents) != 2 {
		t.Fatalf("%d documents", len(documents))
	}
	for _, d := range documents {
		for _, c := range []*copied{same, abroad} {
			if err := c.Put("show", d.Epoch, d.ID, d.Rev, d.Doc, d.Shown); err != nil {
				t.Fatal(err)
			}
		}
		want, _ := h.Document("show", d.ID, d.Rev)
		got, ok := same.Document("show", d.ID, d.Rev)
		if !ok || !bytes.Equal(got.Plain, want.Plain) || !bytes.Equal(got.Gzip, want.Gzip) || got.ETag != want.ETag || got.Epoch != want.Epoch {
			t.Errorf("%s is %s, and %s at the origin", d.ID, got.Plain, want.Plain)
		}
	}
	if got := abroad.has("lamp", 1); !strings.Contains(got, "USD") || strings.Contains(got, "EUR") {
		t.Errorf("abroad the lamp is %s", got)
	}
	same.Drop("show")
	same.Drop("show")
	if same.has("rug", 1) != "" || same.bytes != 0 || abroad.has("rug", 1) == "" {
		t.Error("a stream that is dropped is there, or the other node's is not")
	}
}

// TestCopiesAge: what is shown stays however long, what was shown as long as somebody may play it, and what is shown again stays
// again.
func TestCopiesAge(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "")
	lamp := doc("lamp", "Lamp")
	c.put(5, "lamp", 1, lamp, true)
	c.put(5, "rug", 1, doc("rug", "Rug"), false)
	c.pass(time.Hour)
	if c.has("lamp", 1) == "" || c.has("rug", 1) != "" {
		t.Error("what is shown is gone, or what was shown an hour ago is not")
	}
	c.put(5, "lamp", 1, lamp, false)
	c.pass(30 * time.Second)
	c.put(5, "lamp", 1, lamp, false) // told again: it ended when it was first told
	c.pass(20 * time.Second)
	if c.has("lamp", 1) == "" {
		t.Error("gone after 50 s")
	}
	c.put(5, "lamp", 1, lamp, true)
	c.pass(time.Hour)
	if c.has("lamp", 1) == "" {
		t.Error("what is shown again is gone")
	}
	c.put(5, "lamp", 1, lamp, false)
	c.pass(time.Hour)
	c.put(5, "chair", 1, doc("chair", "Chair"), true)
	if c.has("lamp", 1) != "" || len(c.byStream["show"].items) != 1 {
		t.Errorf("%d documents are kept", len(c.byStream["show"].items))
	}
}

// TestCopiesEpochs: a document belongs to the epoch that it came with; a new one, as of a desk that moved, replaces content, and an
// older one is not listened to.
func TestCopiesEpochs(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "")
	c.put(5, "lamp", 1, doc("lamp", "Lamp"), true)
	c.put(5, "rug", 1, doc("rug", "Rug"), true)
	first := c.has("lamp", 1)
	refused := func(reason string, err error) {
		t.Helper()
		if err == nil || c.has("lamp", 1) != first {
			t.Errorf("%s: %v, and the document is %s", reason, err, c.has("lamp", 1))
		}
		if n := counterOf(t, c.reg, reason); n != 1 {
			t.Errorf("%s: counted %v times", reason, n)
		}
	}
	refused(copyChanged, c.Put("show", 5, "lamp", 1, []byte(doc("lamp", "Forged")), true))
	refused(copyBehind, c.Put("show", 4, "lamp", 1, []byte(doc("lamp", "Lamp")), true))
	c.put(7, "lamp", 1, doc("lamp", "Lamp"), true)
	if got := c.has("lamp", 1); got != "7"+first[1:] {
		t.Errorf("in a new epoch it is %s", got)
	}
	if got := c.has("rug", 1); !strings.HasPrefix(got, "5 ") {
		t.Errorf("what was not told again is %q", got)
	}
	c.put(8, "lamp", 1, doc("lamp", "Another"), false)
	if got := c.has("lamp", 1); !strings.HasPrefix(got, "8 ") || !strings.Contains(got, "Another") {
		t.Errorf("with other content in a new epoch it is %q", got)
	}
	if s := c.byStream["show"]; c.bytes != s.size() || len(s.shown) != 1 {
		t.Errorf("%d bytes are counted of %d; %v are shown", c.bytes, s.size(), s.shown)
	}
}

// counterOf is how often a reason was counted.
func counterOf(t *testing.T, reg *prometheus.Registry, label string) float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.Metric {
			if hasLabels(m, []string{label}) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestCopiesRefuse: what no host could have written is not taken.
func TestCopiesRefuse(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "")
	good := doc("lamp", "Lamp")
	for name, err := range map[string]error{
		"another card": c.Put("show", 1, "rug", 1, []byte(good), true),
		"no card":      c.Put("show", 1, "lamp", 1, []byte(`[]`), true),
		"markup":       c.Put("show", 1, "lamp", 1, []byte(doc("lamp", "<b>Lamp</b>")), true),
		"too large":    c.Put("show", 1, "lamp", 1, []byte(doc("lamp", strings.Repeat("x", 5000))), true),
		"no revision":  c.Put("show", 1, "lamp", 0, []byte(good), true),
		"no epoch":     c.Put("show", 0, "lamp", 1, []byte(good), true),
		"the last one": c.Put("show", 1<<62, "lamp", 1, []byte(good), true),
		"no stream":    c.Put("../etc", 1, "lamp", 1, []byte(good), true),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if len(c.byStream) != 0 || counterOf(t, c.reg, copyInvalid) != 8 {
		t.Errorf("%d streams, %v refusals", len(c.byStream), counterOf(t, c.reg, copyInvalid))
	}
	if _, ok := c.Document("nobody", "lamp", 1); ok {
		t.Error("a document of nobody")
	}
}

// TestCopiesAreBounded: a peer that tells of more than there can be fills a bounded place, and what it shows last is there.
func TestCopiesAreBounded(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "")
	c.put(1, "lamp", 1, doc("lamp", "Lamp"), true)
	s := c.byStream["show"]
	for i := range int64(mostKept + 198) {
		s.put(revision{"lamp", i + 2}, []byte(doc("lamp", "Lamp")), true, c.now)
	}
	c.bytes = s.size()
	c.put(1, "lamp", mostKept+200, doc("lamp", "Lamp"), true)
	if len(s.shown) != mostCopiedShown || len(s.items) != mostKept+mostCopiedShown || c.bytes != s.size() {
		t.Errorf("%d are shown, %d in all, %d bytes of %d", len(s.shown), len(s.items), c.bytes, s.size())
	}
	if c.has("lamp", mostKept+200) == "" || c.has("lamp", 1) != "" {
		t.Error("the newest is gone, or the oldest is not")
	}
	c.bytes = mostCopiedBytes
	if err := c.Put("other", 1, "lamp", 1, []byte(doc("lamp", "Lamp")), true); err == nil || counterOf(t, c.reg, copyFull) != 1 {
		t.Errorf("more than all may have: %v", err)
	}
}

// TestCopiesRace: documents are read while they come, move to another epoch and go.
func TestCopiesRace(t *testing.T) {
	t.Parallel()
	c := newCopied(t, "DE")
	var running sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if d, ok := c.Document("show", "lamp", 1); ok && (d.Epoch < 1 || !bytes.Contains(d.Plain, []byte("lamp"))) {
						t.Errorf("a document of epoch %d: %s", d.Epoch, d.Plain)
						return
					}
				}
			}
		})
	}
	for i := range int64(200) {
		c.put(i+1, "lamp", 1, doc("lamp", fmt.Sprint("Lamp ", i/3)), i%2 == 0)
		if i%50 == 49 {
			c.Drop("show")
		}
	}
	close(stop)
	running.Wait()
}

// BenchmarkCopiesDocument is what a viewer who fetches a card costs.
func BenchmarkCopiesDocument(b *testing.B) {
	c, err := NewCopies(CopiesOptions{})
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Put("show", 1, "lamp", 1, []byte(doc("lamp", "Lamp")), true); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Document("show", "lamp", 1); !ok {
			b.Fatal("gone")
		}
	}
}
