package window

import "slices"

// View is what a presentation consists of at one moment: immutable.
type View struct {
	// Renditions in the order of their making.
	Renditions []*Rendition
	// Variants say how they go together; empty until the presentation can be played.
	Variants []Variant
	// PartTarget is the PART-TARGET; 0 until the first part is made, and fixed from then on.
	PartTarget Ticks
	// Ended tells that the presentation is over.
	Ended bool

	// Memo keeps what readers compute from the view, once for all of them.
	Memo *Memo

	changed chan struct{}
}

// Variant is one entry of the multivariant playlist.
type Variant struct {
	// Video is the rendition that the entry plays: an audio one when there is no video.
	Video *Rendition
	// Audio is the group of audio renditions that go with it; nil without one. Variants may share a group.
	Audio *AudioGroup
	// Codecs as in RFC 6381, comma-separated: the video's and the group's.
	Codecs string
	// Width, Height and FrameRate of the video; 0 when unknown or without video.
	Width, Height int
	FrameRate     float64
	// Score orders the variants by what viewers should rather get: the greater, the better; 0 is none, for all of them or for
	// no one (rfc8216bis 4.4.6.2).
	Score float64
	// VideoRange is "SDR", "HLG" or "PQ"; "" when it is not known or without video.
	VideoRange string
	// Peak and Average are what the variant takes, in bit/s, as measured with the first variant's last complete segment. The writer
	// fills them in (SetVariants).
	Peak, Average int64
}

// AudioGroup is audio renditions of one codec, of which players choose one: languages, a commentary (rfc8216bis 4.4.6.1.1).
type AudioGroup struct {
	// ID is the group's name, unique in the presentation.
	ID string
	// Members, of which the first is the default. There is at least one.
	Members []AudioMember
}

// AudioMember is one rendition of an audio group.
type AudioMember struct {
	// Rendition with the media; it may be a member of several groups.
	Rendition *Rendition
	// Name that people choose it by, unique in the group and not empty, without quotes and control characters.
	Name string
	// Language as a BCP 47 tag; "" when it is not known.
	Language string
	// Channels it has; 0 when that is not known.
	Channels int
}

// lists tells whether one of the variants has a rendition.
func lists(variants []Variant, r *Rendition) bool {
	for i := range variants {
		v := &variants[i]
		if v.Video == r {
			return true
		}
		if v.Audio != nil && slices.ContainsFunc(v.Audio.Members, func(m AudioMember) bool { return m.Rendition == r }) {
			return true
		}
	}
	return false
}

// Changed is closed once a newer view can be loaded.
func (v *View) Changed() <-chan struct{} { return v.changed }

// Rendition returns a rendition by name; nil when there is none.
func (v *View) Rendition(name string) *Rendition {
	for _, r := range v.Renditions {
		if r.Name == name {
			return r
		}
	}
	return nil
}
