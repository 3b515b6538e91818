package stream

import (
	"fmt"
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
)

// Advice is what the host could do better: whole sentences, none when all is well.
func (in *Info) Advice(now time.Time) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if in.State == Waiting {
		say("The publisher is away: reconnect within %d s, or the stream ends.", max(0, int(in.Until.Sub(now).Seconds())))
		return out
	}
	var video, audio *TrackInfo
	for i := range in.Tracks {
		t := &in.Tracks[i]
		if t.Track.Video() && video == nil {
			video = t
		} else if !t.Track.Video() && audio == nil {
			audio = t
		}
	}
	settled := now.Sub(in.Since) > silentTrack
	if video == nil && settled {
		say("No video is sent: viewers hear sound only.")
	}
	if audio == nil && settled {
		say("No audio is sent: viewers see a silent picture.")
	}
	for _, t := range []*TrackInfo{video, audio} {
		if t != nil && settled && t.Bitrate == 0 {
			say("The %s track is declared, but nothing has come on it in the last %d s.", kindOf(t.Track), rateSeconds)
		}
	}
	if video != nil {
		adviseVideo(video, say)
	}
	if video != nil && audio != nil && video.Frames > 60 && audio.Frames > 60 && video.Bitrate > 0 && audio.Bitrate > 0 {
		switch skew := video.Lead - audio.Lead; {
		case skew > trackSkew:
			say("Audio is %d ms behind video: check the encoder's audio offset or buffering.", skew.Milliseconds())
		case skew < -trackSkew:
			say("Audio is %d ms ahead of video: check the encoder's video delay or its load.", (-skew).Milliseconds())
		}
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
	{"time_went_back", "frames were dropped because the encoder's clock jumped"},
	{"message_too_large", "messages of over 16 KB were dropped: a card has at most 4 KB"},
	{"too_many_messages", "messages were dropped: the encoder sends more than 200 a second"},
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

func kindOf(t *Track) string {
	if t.Video() {
		return "video"
	}
	return "audio"
}
