package ingest

import (
	"testing"
	"time"

	"pushcart/internal/stream"
)

// TestGateAfterDrop: a picture that has no place on the timeline is one that the next ones refer to, so that they go too, up to the
// key frame, on its own track only.
func TestGateAfterDrop(t *testing.T) {
	t.Parallel()
	b := newDoorBench(t, nil)
	p := b.publish(t)
	for _, track := range ladder[:2] {
		if err := p.SetTrack(track); err != nil {
			t.Fatal(err)
		}
	}
	const jump = 1_000_000 * 90
	wanted := map[int]bool{} // by picture of the second layer
	for n := range 200 {
		b.now = b.now.Add(40 * time.Millisecond)
		at, later := int64(n*3600), int64(n*3600)
		key := n%50 == 0
		if n >= 60 {
			at += jump
		}
		if n >= 65 { // the other layer's packets were on their way for longer
			later += jump
		}
		if err := p.Write(&stream.Frame{Track: ladder[0], DTS: at, PTS: at, Key: key, Payload: []byte{byte(n)}}); err != nil {
			t.Fatal(err)
		}
		if err := p.Write(&stream.Frame{Track: ladder[1], DTS: later, PTS: later, Key: key, Payload: []byte{byte(n)}}); err != nil {
			t.Fatal(err)
		}
		wanted[n] = n < 60 || n >= 100
	}
	got := map[int]bool{}
	first := 0
	for _, f := range b.frames {
		if f.Track.ID == 0 {
			first++
		} else {
			got[int(f.Payload[0])] = true
		}
	}
	for n := range 200 {
		if got[n] != wanted[n] {
			t.Errorf("picture %d of the second layer: passed on %v, want %v", n, got[n], wanted[n])
		}
	}
	if first != 200 {
		t.Errorf("%d pictures of the first layer", first)
	}
	drops := b.hub.Get("show").Info().Drops
	if drops[string(DropOldTime)] != 1 || drops[string(DropBeforeKeyframe)] != 39 {
		t.Errorf("drops %v", drops)
	}
}

// TestGateByTwoClocks: how long a key frame is waited for is not what a clock jumps by meanwhile, forwards or back.
func TestGateByTwoClocks(t *testing.T) {
	t.Parallel()
	b := newDoorBench(t, nil)
	p := b.publish(t)
	if err := p.SetTrack(ladder[0]); err != nil {
		t.Fatal(err)
	}
	for n := range 300 {
		b.now = b.now.Add(40 * time.Millisecond)
		at := int64(n*3600) + int64(n/10%2)*90*1_000_000
		err := p.Write(&stream.Frame{Track: ladder[0], DTS: at, PTS: at})
		if n < 250 && err != nil {
			t.Fatalf("picture %d: %v", n, err)
		}
		if err != nil {
			wantRefusal(t, err, ReasonNoKeyframe, "10 seconds")
			return
		}
	}
	t.Error("pictures without a key frame are taken without an end")
}
