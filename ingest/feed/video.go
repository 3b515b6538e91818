package feed

import (
	"time"

	"pushcart/ingest"
	"pushcart/internal/codec"
	"pushcart/internal/stream"
)

// Video is one video track.
type Video struct {
	// NeedKey, where not nil, is called when a key frame is wanted because of damage, once for each stretch of it.
	NeedKey func()

	feed    *Feed
	id      int
	ignored bool // there are too many
	label   Label
	insp    *codec.Video  // nil until a record came
	track   *stream.Track // as declared; nil before
	order   order
	seenKey bool
	needKey bool // what comes before a key frame is of no use
	resumed bool // the last key frame is where decoding starts, so that what refers to pictures before it is of no use
	asked   bool // NeedKey was called for the present stretch
	keyAt   time.Time
	bare    wait // while video comes without codec data
	keyless wait // while needKey
	shown   shown
}

// Video adds a video track with a number as stream.Track.ID has it. A second one of the same number takes the place of the
// first one. One beyond the limit is counted and otherwise ignored.
func (f *Feed) Video(id int, c stream.Codec, l Label) *Video {
	v := &Video{feed: f, id: id, label: l.clean()}
	if id < 0 || id >= mostTracks {
		v.ignored = true
		return v
	}
	if c != 0 {
		v.elementary(c)
	}
	if former := f.videos[id]; former != nil {
		v.track, v.seenKey, v.needKey = former.track, former.seenKey, former.seenKey
	}
	f.videos[id] = v
	return v
}

// elementary makes the track follow what comes in band.
func (v *Video) elementary(c stream.Codec) {
	insp, err := codec.NewElementary(c)
	if err != nil {
		v.feed.opt.Log.Warn("codec cannot be used", "error", err)
		return
	}
	insp.Share(&v.feed.buffer)
	v.insp = insp
}

// Parameters takes parameter sets that came apart from the pictures, such as those of SDP: NAL units, or for AV1 the
// sequence header OBU.
func (v *Video) Parameters(units [][]byte) error {
	if v.ignored || v.insp == nil {
		return nil
	}
	ready := v.insp.Ready()
	if !v.fits(units) {
		return nil
	}
	if err := v.insp.Parameters(units); err != nil {
		return v.feed.fault(err, InsteadVideo)
	}
	if ready || !v.insp.Ready() {
		return nil
	}
	return v.declare()
}

// Record takes a decoder configuration, as codec.NewVideo reads it, of a protocol that has one. Encoders repeat it; only what
// differs makes a new track.
func (v *Video) Record(c stream.Codec, record []byte) error {
	if v.ignored {
		v.feed.ignored()
		return nil
	}
	if c == stream.VP8 { // has no codec data: its key frames tell
		if !v.Is(c) {
			v.elementary(c)
			v.needKey = v.seenKey
		}
		return nil
	}
	if len(record) == 0 || v.Is(c) && v.insp.Given(record) {
		return nil
	}
	insp, err := codec.NewVideo(c, record)
	if err != nil {
		return v.feed.fault(err, InsteadVideo)
	}
	insp.Share(&v.feed.buffer)
	same := v.insp != nil && v.insp.Same(insp)
	v.insp = insp
	if same {
		return nil
	}
	return v.declare()
}

// Is tells whether the track's codec data are those of a codec.
func (v *Video) Is(c stream.Codec) bool { return v.insp != nil && v.insp.Codec() == c }

// declare tells what the codec data say. The first frame of a replaced track must be a key frame.
func (v *Video) declare() error {
	first := v.track == nil
	v.needKey, v.bare = v.seenKey, wait{}
	v.track = v.insp.Track(v.id)
	v.order.claim(v.insp.Reorder())
	return v.feed.declare(v.track, v.label, first)
}

// Write takes one access unit: NAL units without start codes and lengths (H.264, HEVC), OBUs without or with size fields and
// without temporal delimiters (AV1), or one frame (VP8, VP9). They are lent for the call and may be overwritten. An error is a
// *ingest.Refusal and ends the session.
func (v *Video) Write(units [][]byte, t Time) error {
	switch {
	case v.ignored:
		v.feed.ignored()
		return nil
	case v.insp == nil || len(units) == 0 || !v.fits(units):
		return nil
	}
	sample, err := v.insp.ReadUnits(units)
	if err != nil {
		v.Lost(ingest.DropDamaged)
		return nil
	}
	return v.sample(&sample, t, keyTimeout)
}

// WriteSample takes one access unit as ISO-BMFF stores it, of a protocol that has decoder configurations: NAL units with lengths
// of the size that the record has, an AV1 temporal unit, or one frame of VP8 or VP9. It is lent for the call and may be overwritten. An
// error is a *ingest.Refusal and ends the session.
func (v *Video) WriteSample(c stream.Codec, au []byte, t Time) error {
	if v.ignored {
		v.feed.ignored()
		return nil
	}
	if !v.Is(c) {
		return v.noCodecData(rescale(t.PTS, t.Rate, videoRate), codecDataTimeout)
	}
	sample, err := v.insp.Read(au)
	if err != nil {
		v.Lost(ingest.DropDamaged)
		return nil
	}
	return v.sample(&sample, t, codecDataTimeout)
}

// fits tells whether an access unit is within the limits; what is not is dropped.
func (v *Video) fits(units [][]byte) bool {
	size := 0
	for _, u := range units {
		size += len(u)
	}
	if size <= largestUnit && len(units) <= mostUnits {
		return true
	}
	v.Lost(ingest.DropDamaged)
	return false
}

// sample passes an access unit on: the picture, if there is one and it can be decoded, and the messages within.
func (v *Video) sample(s *codec.Sample, t Time, patience time.Duration) error {
	pts := rescale(t.PTS, t.Rate, videoRate)
	dts := pts
	if t.HasDTS {
		dts = rescale(t.DTS, t.Rate, videoRate)
	}
	if s.Changed {
		if err := v.declare(); err != nil {
			return err
		}
	}
	switch {
	case len(s.Payload) == 0:
	case v.track == nil || !v.insp.Ready():
		if err := v.noCodecData(pts, patience); err != nil {
			return err
		}
	case s.Leading && v.resumed:
		v.feed.opt.Publication.Drop(ingest.DropBeforeKeyframe)
	case !s.Key && v.needKey:
		if err := v.noKey(pts); err != nil {
			return err
		}
	default:
		if s.Key {
			if v.resumed = v.needKey || !v.seenKey; v.resumed {
				v.order.lost()
			}
			v.seenKey, v.needKey, v.asked, v.keyless = true, false, false, wait{}
			v.keyAt = v.feed.opt.Now()
		}
		if !t.HasDTS && (v.track.Codec == stream.H264 || v.track.Codec == stream.HEVC) {
			dts = v.order.next(pts, v.pictureDuration(), s.Key)
		}
		if err := v.picture(s, pts, dts, t.Wall); err != nil {
			return err
		}
	}
	return v.userData(dts)
}

// picture passes a picture on, and the commands that waited for it.
func (v *Video) picture(s *codec.Sample, pts, dts int64, wall time.Time) error {
	f := v.feed
	f.frame = stream.Frame{Track: v.track, DTS: dts, PTS: pts, Key: s.Key, Wall: wall, Payload: s.Payload}
	if err := f.opt.Publication.Write(&f.frame); err != nil {
		return err
	}
	v.shown.note(pts, dts)
	return f.settle()
}

// pictureDuration is that which the codec data claim, in 1/90,000 s.
func (v *Video) pictureDuration() int64 {
	if r := v.track.FrameRate; r > 1 {
		return int64(videoRate / r)
	}
	return videoRate / 30
}

// Lost tells that something in front of the next access unit is missing or damaged, for a reason: what comes up to the next
// key frame is dropped.
func (v *Video) Lost(reason ingest.DropReason) {
	if v.ignored {
		return
	}
	v.feed.opt.Publication.Drop(reason)
	v.wantKey()
}

// wantKey drops what comes before the next key frame.
func (v *Video) wantKey() {
	v.needKey = v.seenKey // before the first key frame the door waits for it
	if !v.asked {
		v.asked = true
		if v.NeedKey != nil {
			v.NeedKey()
		}
	}
}

// Lost tells that something is missing or damaged and that nobody knows on which track.
func (f *Feed) Lost(reason ingest.DropReason) {
	f.opt.Publication.Drop(reason)
	for _, v := range f.videos {
		if v != nil {
			v.wantKey()
		}
	}
}

// Keyframe tells when the last key frame came, zero before the first; a protocol that can ask for key frames needs it.
func (v *Video) Keyframe() (at time.Time) { return v.keyAt }

// noKey drops what cannot be decoded until a key frame comes, and gives up on an encoder that sends none. Before the first
// one of all it is the door that waits.
func (v *Video) noKey(at90k int64) error {
	v.feed.opt.Publication.Drop(ingest.DropBeforeKeyframe)
	if !v.keyless.over(at90k, v.feed.opt.Now(), keyTimeout) || v.feed.otherVideo(v) {
		return nil
	}
	return ingest.Refuse(ingest.ReasonNoKeyframe, "The video was damaged or changed, and no keyframe came in the %d seconds since. Set the encoder's keyframe interval to 2 seconds.",
		int(keyTimeout.Seconds()))
}

// otherVideo tells whether another video track can be seen.
func (f *Feed) otherVideo(v *Video) bool {
	for _, o := range f.videos {
		if o != nil && o != v && o.seenKey && !o.needKey {
			return true
		}
	}
	return false
}

// noCodecData drops what cannot be understood, and gives up after a while.
func (v *Video) noCodecData(at90k int64, patience time.Duration) error {
	v.feed.opt.Publication.Drop(ingest.DropBeforeConfig)
	if !v.bare.over(at90k, v.feed.opt.Now(), patience) || v.feed.otherVideo(v) {
		return nil
	}
	return ingest.Refuse(ingest.ReasonNoCodecData, "The video's codec data (sequence header) did not come in %d seconds. Restart the encoder, and let it reconnect with a new session instead of resuming the old one.",
		int(patience.Seconds()))
}

// userData hands on what came within the picture of a decoding time.
func (v *Video) userData(dts int64) error {
	texts, lost := v.insp.UserData()
	for range lost {
		v.feed.opt.Publication.Drop(ingest.DropUnknownMessage)
	}
	for _, text := range texts {
		if !v.feed.message() {
			continue
		}
		d := stream.Data{Name: stream.DataSEI, PTS: dts, Values: []any{string(text)}}
		if err := v.feed.opt.Publication.WriteData(&d); err != nil {
			return err
		}
	}
	return nil
}
