package window

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestCopyViewRefuses: a view that does not hold together leaves everything as it is; what a new one does not name stays.
func TestCopyViewRefuses(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	s.add(1)
	group := &AudioGroup{ID: "audio", Members: []AudioMember{{Rendition: s.audio, Name: "Original"}}}
	s.SetVariants([]Variant{{Video: s.video, Audio: group, Codecs: "a"}, {Video: s.audio, Audio: group}, {Video: s.audio}})
	p := copyOf(t, s)
	v := p.Load()
	if len(v.Variants) != 3 || v.Variants[0].Audio == nil || v.Variants[0].Audio != v.Variants[1].Audio || v.Variants[2].Audio != nil || v.PartTarget != partTicks {
		t.Errorf("the view is %+v", v)
	}
	for name, change := range map[string]func(*ViewHead){
		"twice":            func(h *ViewHead) { h.Renditions[1].Name = "video" },
		"no name":          func(h *ViewHead) { h.Renditions[1].Name = "" },
		"another kind":     func(h *ViewHead) { h.Renditions[1].Video = true },
		"unknown member":   func(h *ViewHead) { h.Groups[0].Members[0].Rendition = "audio-9" },
		"empty group":      func(h *ViewHead) { h.Groups[0].Members = nil },
		"unknown video":    func(h *ViewHead) { h.Variants[0].Video = "video-9" },
		"unknown group":    func(h *ViewHead) { h.Variants[0].Group = 1 },
		"impossible group": func(h *ViewHead) { h.Variants[0].Group = -2 },
	} {
		h := s.Load().Head()
		change(&h)
		if err := p.CopyView(h); !errors.Is(err, ErrMismatch) || p.Load() != v {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := s.Load().Head()
	h.Renditions, h.Groups, h.Variants = []RenditionHead{{"480p", true}, {"video", true}}, nil, nil
	if err := p.CopyView(h); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range p.Load().Renditions {
		all = append(all, r.Name)
	}
	if strings.Join(all, " ") != "480p video audio" || p.Load().Rendition("video") != v.Rendition("video") {
		t.Errorf("renditions %v", all)
	}
}
