package window

import "slices"

// ViewHead is a view by names, as it travels.
type ViewHead struct {
	// Renditions in the order of their making.
	Renditions []RenditionHead
	// Groups of audio that the variants have, each once.
	Groups []GroupHead
	// Variants as in View.
	Variants []VariantHead
	// PartTarget and Ended are the view's.
	PartTarget Ticks
	Ended      bool
}

// RenditionHead is a rendition by name.
type RenditionHead struct {
	Name  string
	Video bool
}

// GroupHead is an AudioGroup with its members by name.
type GroupHead struct {
	ID      string
	Members []MemberHead
}

// MemberHead is an AudioMember with its rendition by name.
type MemberHead struct {
	Rendition, Name, Language string
	Channels                  int
}

// VariantHead is a Variant with its rendition by name.
type VariantHead struct {
	// Video is the rendition's name.
	Video string
	// Group is the index of the audio group in ViewHead.Groups; -1 for none.
	Group int
	// The others are as in Variant.
	Codecs           string
	Width, Height    int
	FrameRate, Score float64
	VideoRange       string
	Peak, Average    int64
}

// Head returns the view by names.
func (v *View) Head() ViewHead {
	h := ViewHead{PartTarget: v.PartTarget, Ended: v.Ended}
	for _, r := range v.Renditions {
		h.Renditions = append(h.Renditions, RenditionHead{r.Name, r.Video})
	}
	var groups []*AudioGroup
	for i := range v.Variants {
		a := &v.Variants[i]
		group := -1
		if a.Audio != nil {
			if group = slices.Index(groups, a.Audio); group < 0 {
				group = len(groups)
				groups = append(groups, a.Audio)
				h.Groups = append(h.Groups, a.Audio.head())
			}
		}
		h.Variants = append(h.Variants, VariantHead{
			Video: a.Video.Name, Group: group, Codecs: a.Codecs, Width: a.Width, Height: a.Height, FrameRate: a.FrameRate,
			Score: a.Score, VideoRange: a.VideoRange, Peak: a.Peak, Average: a.Average,
		})
	}
	return h
}

func (g *AudioGroup) head() GroupHead {
	h := GroupHead{ID: g.ID}
	for _, m := range g.Members {
		h.Members = append(h.Members, MemberHead{m.Rendition.Name, m.Name, m.Language, m.Channels})
	}
	return h
}

// CopyView makes the view of a copy the one that h describes. Renditions are made as they appear, empty until they adopt a state;
// those that h does not name any more stay behind the others. Its error wraps ErrMismatch when h does not hold together: nothing
// has changed then.
func (p *Presentation) CopyView(h ViewHead) error {
	old := p.Load()
	var all []*Rendition
	for _, head := range h.Renditions {
		r := old.Rendition(head.Name)
		switch {
		case head.Name == "" || slices.ContainsFunc(all, func(o *Rendition) bool { return o.Name == head.Name }):
			return mismatch("there are two renditions %q, or one has no name", head.Name)
		case r == nil:
			r = newRendition(head.Name, head.Video, &Snapshot{filled: make(chan struct{})})
		case r.Video != head.Video:
			return mismatch("rendition %q turns from video to audio, or the reverse", head.Name)
		}
		all = append(all, r)
	}
	for _, r := range old.Renditions {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	next := View{Renditions: all}
	groups := make([]*AudioGroup, len(h.Groups))
	for i, head := range h.Groups {
		g := &AudioGroup{ID: head.ID}
		for _, m := range head.Members {
			r := next.Rendition(m.Rendition)
			if r == nil {
				return mismatch("audio group %q has rendition %q, which there is not", head.ID, m.Rendition)
			}
			g.Members = append(g.Members, AudioMember{Rendition: r, Name: m.Name, Language: m.Language, Channels: m.Channels})
		}
		if len(g.Members) == 0 {
			return mismatch("audio group %q is empty", head.ID)
		}
		groups[i] = g
	}
	for _, head := range h.Variants {
		a := Variant{
			Video: next.Rendition(head.Video), Codecs: head.Codecs, Width: head.Width, Height: head.Height, FrameRate: head.FrameRate,
			Score: head.Score, VideoRange: head.VideoRange, Peak: head.Peak, Average: head.Average,
		}
		if a.Video == nil || head.Group >= len(groups) || head.Group < -1 {
			return mismatch("a variant has rendition %q and audio group %d, which there are not both", head.Video, head.Group)
		}
		if head.Group >= 0 {
			a.Audio = groups[head.Group]
		}
		next.Variants = append(next.Variants, a)
	}
	p.update(func(v *View) {
		v.Renditions, v.Variants, v.PartTarget, v.Ended = next.Renditions, next.Variants, h.PartTarget, h.Ended
	})
	return nil
}
