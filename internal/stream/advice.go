package stream

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds beyond which the host is told.
const (
	longKeyframes  = 4500 * time.Millisecond
	shortKeyframes = 800 * time.Millisecond
	trackSkew      = 250 * time.Millisecond
	longReorder    = 50 * time.Millisecond
	silentTrack    = 5 * time.Second
	highBitrate    = 12e6
	layerSkew      = 100 * time.Millisecond
)

// Advice is what the host could do better: whole sentences, none when all is well.
func (in *Info) Advice(now time.Time) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if in.State == Waiting {
		say("The publisher is away: reconnect within %d s, or the stream ends.", max(0, int(in.Until.Sub(now).Seconds())))
		return out
	}
	video, audio := in.kinds()
	settled := now.Sub(in.Since) > silentTrack
	if len(video) == 0 && settled {
		say("No video is sent: viewers hear sound only.")
	}
	if len(audio) == 0 && settled {
		say("No audio is sent: viewers see a silent picture.")
	}
	for _, t := range slices.Concat(video, audio) {
		if settled && t.Bitrate == 0 {
			say("The %s track is declared, but nothing has come on it in the last %d s.", in.called(t), rateSeconds)
		}
	}
	for i, t := range video {
		adviseVideo(t, in.naming(t, say))
		if i > 0 {
			adviseLayer(video[0], t, in, say)
		}
	}
	in.adviseUndelivered(audio, say)
	if len(video) > 0 {
		for _, t := range audio {
			adviseSkew(video[0], t, in, say)
		}
	}
	if off := in.ClockOff; off != 0 {
		side := "ahead"
		if off < 0 {
			side, off = "behind", -off
		}
		say("The publisher's clock is %s %s: viewers' dates are those of arrival. Set it by a time server.", span(off), side)
	}
	for _, d := range dropAdvice {
		if n := in.Drops[d.reason]; n > 0 {
			say("%d %s.", n, d.what)
		}
	}
	return out
}

// dropAdvice is what drops tell the host, by reason.
var dropAdvice = []struct{ reason, what string }{
	{"damaged", "damaged frames were dropped: check the encoder and the connection"},
	{"packets_lost", "access units were lost on the way: check the connection, or use one with less loss"},
	{"time_went_back", "frames were dropped because the encoder's clock jumped"},
	{"message_too_large", "messages of over 16 KB were dropped: a card has at most 4 KB"},
	{"too_many_messages", "messages were dropped: the encoder sends more than 200 a second"},
	{"too_many_tracks", "frames were ignored because they came on tracks beyond the first 16 of video or of audio"},
}

func adviseVideo(t *TrackInfo, say func(string, ...any)) {
	interval := max(t.KeyframeInterval, t.SinceKeyframe)
	switch {
	case interval > longKeyframes:
		say("Keyframes arrive every %.1f s: set the keyframe interval to 2 s, so that viewers join and recover quickly.", interval.Seconds())
	case t.KeyframeInterval > 0 && t.KeyframeInterval < shortKeyframes:
		say("Keyframes arrive every %.1f s: set 2 s for a better picture at the same bit rate.", t.KeyframeInterval.Seconds())
	}
	if t.Reorder > longReorder {
		say("B-frames add %d ms of delay: set the encoder's B-frames to 0, or its tune to zerolatency.", t.Reorder.Milliseconds())
	}
	if t.Bitrate > highBitrate {
		say("Video is sent at %.1f Mbit/s: many viewers cannot receive that; 3 to 6 Mbit/s serve 1080p.", t.Bitrate/1e6)
	}
	if f := t.Track.FrameRate; f > 0 && t.FrameRate > 0 && t.FrameRate < f*0.8 {
		say("Only %.1f of %.1f frames a second arrive: the encoder or the uplink is overloaded.", t.FrameRate, f)
	}
}

// adviseLayer compares a further video track with the one that leads: viewers change between them at key frames that both have.
func adviseLayer(lead, t *TrackInfo, in *Info, say func(string, ...any)) {
	every, other := lead.KeyframeInterval, t.KeyframeInterval
	if every <= 0 || other <= 0 || lead.Bitrate == 0 || t.Bitrate == 0 || (every-other).Abs() > every/20 {
		return
	}
	apart := ticks(t.Keyframe-lead.Keyframe, 90000) % every
	if apart = min(apart.Abs(), every-apart.Abs()); apart > layerSkew {
		say("Key frames of the %s and %s tracks are %d ms apart: send them at the same times, so that viewers can change between them.",
			in.called(lead), in.called(t), apart.Milliseconds())
	}
}

// adviseSkew compares the arrival of audio with that of video.
func adviseSkew(video, audio *TrackInfo, in *Info, say func(string, ...any)) {
	if video.Frames <= 60 || audio.Frames <= 60 || video.Bitrate == 0 || audio.Bitrate == 0 || audio.Track.Undelivered {
		return
	}
	sound := strings.ToUpper(in.called(audio)[:1]) + in.called(audio)[1:]
	switch skew := video.Lead - audio.Lead; {
	case skew > trackSkew:
		say("%s is %d ms behind video: check the encoder's audio offset or buffering.", sound, skew.Milliseconds())
	case skew < -trackSkew:
		say("%s is %d ms ahead of video: check the encoder's video delay or its load.", sound, (-skew).Milliseconds())
	}
}

// adviseUndelivered tells of audio that viewers do not get.
func (in *Info) adviseUndelivered(audio []*TrackInfo, say func(string, ...any)) {
	silent := !slices.ContainsFunc(audio, func(t *TrackInfo) bool { return !t.Track.Undelivered })
	for _, t := range audio {
		if !t.Track.Undelivered {
			continue
		}
		until := ""
		if silent {
			until = " Until then viewers see the picture without sound."
		}
		say("The %s is %s, which browsers cannot play over HLS: set the encoder's audio to AAC.%s", in.called(t), t.Track.Codec, until)
	}
}

// kinds returns the tracks that carry video and those that carry audio, in the order of their numbers.
func (in *Info) kinds() (video, audio []*TrackInfo) {
	for i := range in.Tracks {
		if t := &in.Tracks[i]; t.Track.Video() {
			video = append(video, t)
		} else {
			audio = append(audio, t)
		}
	}
	return video, audio
}

// called names a track for the host: by its kind, and where there are several by what tells it apart.
func (in *Info) called(t *TrackInfo) string {
	video, audio := in.kinds()
	kind, many := "audio", len(audio) > 1
	if t.Track.Video() {
		kind, many = "video", len(video) > 1
	}
	switch {
	case !many:
		return kind
	case t.Track.Name != "":
		return fmt.Sprintf("%s %q", kind, t.Track.Name)
	case t.Track.Language != "":
		return fmt.Sprintf("%s %d (%s)", kind, t.Track.ID, t.Track.Language)
	}
	return fmt.Sprintf("%s %d", kind, t.Track.ID)
}

// naming puts the name of a track in front of what is said, where there are several of its kind.
func (in *Info) naming(t *TrackInfo, say func(string, ...any)) func(string, ...any) {
	name := in.called(t)
	if name == "video" {
		return say
	}
	return func(format string, args ...any) { say("On the %s track: "+format, append([]any{name}, args...)...) }
}

// span writes a long time with one unit.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}
