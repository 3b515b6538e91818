package overlay

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pushcart/overlay/journal/journaltest"
)

// stocked is a desk with a list of 50 cards, three of them shown.
func stocked(b *testing.B) (*house, *Desk) {
	h := newHouse(b, journaltest.New())
	h.keep = 0
	k := h.desk("show")
	for i := range 50 {
		do(b, k, Command{Op: OpPut, Body: fmt.Appendf(nil,
			`{"id":"c%d","name":{"en":"A card","de":"Eine Karte"},"description":"Very%s","offers":[{"price":"19.99","priceCurrency":"EUR"}]}`,
			i, strings.Repeat(" good", 60))})
	}
	for i := range 3 {
		do(b, k, show(fmt.Sprint("s", i), fmt.Sprint("c", i)))
	}
	return h, k
}

// BenchmarkDo is a price change of a card that is shown, one after the other: parsed, merged, signed, journalled,
// announced and answered.
func BenchmarkDo(b *testing.B) {
	_, k := stocked(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		do(b, k, Command{Op: OpPatch, Card: "c1", Body: fmt.Appendf(nil, `{"sku":"%d"}`, n)})
	}
}

// BenchmarkDoTogether is the same from 32 hosts at once.
func BenchmarkDoTogether(b *testing.B) {
	h, k := stocked(b)
	b.ReportAllocs()
	syncs := h.fs.Count(journaltest.Sync)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			for n := range b.N / 32 {
				c := Command{Op: OpPatch, Card: "c1", Body: fmt.Appendf(nil, `{"sku":"%d-%d"}`, i, n)}
				if _, err := k.Do(context.Background(), c); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(h.fs.Count(journaltest.Sync)-syncs)/float64(b.N), "flushes/op")
}

// BenchmarkView is what readers pay while the desk is at work.
func BenchmarkView(b *testing.B) {
	_, k := stocked(b)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			k.Do(context.Background(), Command{Op: OpPatch, Card: "c1", Body: fmt.Appendf(nil, `{"sku":"%d"}`, n)})
		}
	})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if len(k.View().Slots) != 3 {
				b.Error("slots are missing")
			}
		}
	})
	close(stop)
	writer.Wait()
}

// BenchmarkDocument is a viewer's card: made once, found each time after that.
func BenchmarkDocument(b *testing.B) {
	h, _ := stocked(b)
	b.Run("found", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, ok := h.Document("show", "c1", 1); !ok {
					b.Error("no document")
				}
			}
		})
	})
	b.Run("made", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			h.region = []string{"DE", "US"}[n%2]
			if _, ok := h.Document("show", "c1", 1); !ok {
				b.Error("no document")
			}
		}
	})
}

// BenchmarkOpen is a start with a journal of a long show.
func BenchmarkOpen(b *testing.B) {
	h, k := stocked(b)
	for n := range 1000 {
		do(b, k, Command{Op: OpPatch, Card: "c1", Body: fmt.Appendf(nil, `{"sku":"%d"}`, n)})
	}
	h.Close()
	b.SetBytes(int64(len(h.fs.Bytes(showJournal))))
	b.ReportAllocs()
	for b.Loop() {
		newHouse(b, h.fs.Crash(journaltest.Killed)).desk("show")
	}
}
