package packager

import (
	"slices"
	"strconv"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// audioGroup is a group and the codec that all its members have.
type audioGroup struct {
	window.AudioGroup
	codec string
	aac   bool
}

// groups puts the audio renditions into groups, one for each codec: CODECS of a variant has to be true of whichever member is
// chosen (rfc8216bis 4.4.6.2). The first is the one that plays anywhere.
func (p *Packager) groups() []*audioGroup {
	var groups []*audioGroup
	for _, r := range p.sounds() {
		t := r.w.track
		i := slices.IndexFunc(groups, func(g *audioGroup) bool { return g.codec == t.CodecString })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &audioGroup{codec: t.CodecString, aac: t.Codec == stream.AAC})
		}
		g := groups[i]
		tag := cleanLanguage(t.Language)
		g.Members = append(g.Members, window.AudioMember{
			Rendition: r.w.r, Language: tag, Channels: t.Channels, Name: memberName(g.Members, t.Name, tag),
		})
	}
	slices.SortStableFunc(groups, func(a, b *audioGroup) int { return btoi(b.aac) - btoi(a.aac) })
	groups = slices.DeleteFunc(groups, func(g *audioGroup) bool { return g != groups[0] && g.lesser(groups[0]) })
	for i, g := range groups {
		if g.ID = "audio"; i > 0 {
			g.ID += "-" + strconv.Itoa(i+1)
		}
	}
	return groups
}

// sounds lists the audio that goes with pictures, in the order of the publisher's tracks: what was made from one stands beside it.
func (p *Packager) sounds() (all []*rendition) {
	for _, r := range p.renditions {
		if !r.video && p.listed(r) && !r.w.track.SoundOnly {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b *rendition) int { return a.ordinal() - b.ordinal() })
	return all
}

// ordinal is the number of the publisher's track of audio that the rendition is, or is made from.
func (r *rendition) ordinal() int {
	if r.rung != nil {
		return r.id - stream.FirstRungAudio
	}
	return r.id - firstAudio
}

// lesser tells whether a group has nothing but what another has too, and not all of that. Players could not go from one to the
// other: all groups must have the same members (rfc8216bis 4.4.6.1.1).
func (g *audioGroup) lesser(than *audioGroup) bool {
	has := func(m window.AudioMember) bool {
		return slices.ContainsFunc(than.Members, func(o window.AudioMember) bool { return o.Name == m.Name && o.Language == m.Language })
	}
	return len(g.Members) < len(than.Members) && !slices.ContainsFunc(g.Members, func(m window.AudioMember) bool { return !has(m) })
}

// soundOnly lists the rungs for viewers who get no picture.
func (p *Packager) soundOnly() (all []*rendition) {
	for _, r := range p.renditions {
		if !r.video && p.listed(r) && r.w.track.SoundOnly {
			all = append(all, r)
		}
	}
	return all
}

// aloneIn is the group of a rung that is sound alone. Its variant plays a member of it, as in the example of RFC 8216 8.6, and has
// no audio but that: players then know its language, and find that each variant has a group. All groups must have the same
// members (rfc8216bis 4.4.6.1.1), so the other languages are those of the first group.
func aloneIn(r *rendition, first *audioGroup) *window.AudioGroup {
	g := &window.AudioGroup{ID: r.name, Members: slices.Clone(first.Members)}
	tag := cleanLanguage(r.w.track.Language)
	at := max(0, slices.IndexFunc(g.Members, func(m window.AudioMember) bool { return m.Language == tag }))
	g.Members[at].Rendition, g.Members[at].Channels = r.w.r, r.w.track.Channels
	return g
}

// writerOf finds who writes a rendition that is listed.
func (p *Packager) writerOf(r *window.Rendition) *writer {
	i := slices.IndexFunc(p.renditions, func(o *rendition) bool { return o.w != nil && o.w.r == r })
	return p.renditions[i].w
}
