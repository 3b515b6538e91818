package overlay

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"pushcart/internal/stream"
	"pushcart/overlay/journal/journaltest"
)

// replies records what senders are told.
type replies struct {
	mu  sync.Mutex
	all map[string][]stream.Reply
}

// ask is a command whose sender wants to know what became of it; label tells the commands apart.
func (r *replies) ask(label, name, text string) *stream.Data {
	return &stream.Data{
		Name: name, Era: 2, PTS: 1000, Trusted: true, Values: []any{text},
		Reply: func(a stream.Reply) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.all == nil {
				r.all = map[string][]stream.Reply{}
			}
			r.all[label] = append(r.all[label], a)
		},
	}
}

// one is the one answer to a command.
func (r *replies) one(t *testing.T, label string) stream.Reply {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.all[label]); n != 1 {
		t.Fatalf("%s: %d answers, want 1", label, n)
	}
	return r.all[label][0]
}

func TestReplies(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k, s := h.desk("show"), newScreen(t)
		f := h.Follow("show", s)
		defer f.End()
		var r replies
		f.Data(r.ask("put", stream.DataChannel, `{"pushcart":"put","card":`+string(doc("lamp", "Lamp"))+`}`))
		f.Data(r.ask("show", stream.DataID3, `{"pushcart":"show","card":"lamp","key":"k1"}`))
		f.Data(r.ask("again", stream.DataID3, `{"pushcart":"show","card":"lamp","key":"k1"}`))
		f.Data(r.ask("none", stream.DataSCTE35, `{"pushcart":"show","card":"chair"}`))
		f.Data(r.ask("unreadable", stream.DataChannel, `{"pushcart":`))
		f.Data(r.ask("oversized", stream.DataChannel, strings.Repeat("x", inBandBytes+1)))
		untrusted := r.ask("untrusted", stream.DataChannel, `{"pushcart":"hide"}`)
		untrusted.Trusted = false
		f.Data(untrusted)
		f.Data(r.ask("caption", stream.DataText, "hello"))
		synctest.Wait()

		if a := r.one(t, "put"); a.Refused != "" || a.Card != "lamp" || a.Rev != 1 || a.Epoch == 0 {
			t.Errorf("put: %+v", a)
		}
		a := r.one(t, "show")
		if slots := k.View().Slots; a.Refused != "" || a.Seq == 0 || a.Epoch != k.View().Epoch || len(slots) != 1 || a.Card != "lamp" {
			t.Errorf("show: %+v, slots %+v", a, slots)
		}
		if b := r.one(t, "again"); b != a {
			t.Errorf("the same command again: %+v, want %+v", b, a)
		}
		for label, want := range map[string]struct{ field, words string }{
			"none": {"card", "chair"}, "unreadable": {"", "cut off"}, "oversized": {"", "shorten"}, "untrusted": {"", "stream key"},
		} {
			if a := r.one(t, label); !strings.Contains(a.Refused, want.words) || a.Field != want.field || a.Epoch != 0 || a.Seq != 0 {
				t.Errorf("%s: %+v", label, a)
			}
		}
		if r.all["caption"] != nil {
			t.Error("a caption was answered")
		}
		var sources []string
		for _, shown := range k.View().Timeline {
			sources = append(sources, shown.Source)
		}
		if len(sources) != 1 || sources[0] != "id3" || k.View().InBandRefusal.Source != "datachannel" {
			t.Errorf("sources %v, refusal %+v", sources, k.View().InBandRefusal)
		}

		do(t, k, Command{Op: OpConfigure, InBand: ptr(false)})
		f.Data(r.ask("switched off", stream.DataChannel, `{"pushcart":"hide"}`))
		synctest.Wait()
		if a := r.one(t, "switched off"); !strings.Contains(a.Refused, "does not accept") {
			t.Errorf("%+v", a)
		}
	})
}

// TestEveryCommandIsAnswered: one answer each, when there are too many, the disk is full, the stream ends and the node closes.
func TestEveryCommandIsAnswered(t *testing.T) {
	inTime(t, func(t *testing.T) {
		fsys := journaltest.New()
		h := newHouse(t, fsys)
		h.desk("show")
		f := h.Follow("show", newScreen(t))
		var r replies
		labels := []string{}
		burst := func(name string, n int) {
			for i := range n {
				label := name + strings.Repeat("'", i)
				labels = append(labels, label)
				f.Data(r.ask(label, stream.DataChannel, `{"pushcart":"hide"}`))
			}
		}
		burst("many", 3*inBandWaiting)
		synctest.Wait()
		f.End()
		burst("after the end", 3)
		synctest.Wait()
		burst("long after the end", 3)
		synctest.Wait()
		for _, label := range labels {
			r.one(t, label)
		}
		if a := r.one(t, "long after the end"); !strings.Contains(a.Refused, "has ended") {
			t.Errorf("%+v", a)
		}

		labels, r.all = nil, nil
		f = h.Follow("show", newScreen(t))
		synctest.Wait()
		burst("before closing", 50)
		h.Close()
		burst("after closing", 3)
		for _, label := range labels {
			r.one(t, label)
		}
		if a := r.one(t, "after closing"); !strings.Contains(a.Refused, "shutting down") {
			t.Errorf("%+v", a)
		}
		f = h.Follow("show", newScreen(t))
		f.Data(r.ask("on a closed node", stream.DataChannel, `{"pushcart":"hide"}`))
		if a := r.one(t, "on a closed node"); a.Refused == "" {
			t.Errorf("%+v", a)
		}
	})
}

// TestAnswerComesFromTheDisk: a command whose record cannot be written is refused.
func TestAnswerComesFromTheDisk(t *testing.T) {
	inTime(t, func(t *testing.T) {
		fsys := journaltest.New()
		h := newHouse(t, fsys)
		h.desk("show")
		f := h.Follow("show", newScreen(t))
		defer f.End()
		synctest.Wait()
		var r replies
		fsys.Fail(func(journaltest.Op, string) error { return syscall.ENOSPC })
		f.Data(r.ask("full", stream.DataChannel, `{"pushcart":"put","card":`+string(doc("lamp", "Lamp"))+`}`))
		synctest.Wait()
		if a := r.one(t, "full"); !strings.Contains(a.Refused, "disk is full") || a.Card != "" {
			t.Errorf("%+v", a)
		}
	})
}
