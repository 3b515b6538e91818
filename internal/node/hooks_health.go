package node

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pushcart/internal/stream"
	"pushcart/internal/webhooks"
)

const (
	// healthEvery is how often streams are examined.
	healthEvery = 2 * time.Second
	// badFor and goodFor are how long something has to be wrong, or right, before it is told: what comes and goes is told once.
	badFor  = 10 * time.Second
	goodFor = 30 * time.Second
	// settlesIn is how long after a publisher came its stream is not judged.
	settlesIn = 5 * time.Second
	// Bounds, as the stream's advice has them.
	rareKeyframes = 4500 * time.Millisecond
	apart         = 250 * time.Millisecond
	fewFrames     = 0.8
)

// lossReasons are drops that mean that something was lost.
var lossReasons = []string{"damaged", "packets_lost", "time_went_back"}

// health is what is wrong with a show.
type health struct {
	troubles map[string]*trouble // by reason
	lost     uint64              // frames, when it was last examined
	lastLoss time.Time
}

// trouble is one thing that is wrong, or was a moment ago.
type trouble struct {
	since   time.Time // when it began
	good    time.Time // since when all is well again; zero while it is not
	told    bool
	message string
}

// examine judges all streams.
func (h *hooks) examine(now time.Time) {
	if !h.active() {
		return
	}
	for _, s := range h.shows {
		if !s.started {
			continue
		}
		in := s.stream.Info()
		found := s.health.diagnose(&in, now)
		if in.State != stream.Waiting {
			if what := h.trouble(in.Name); what != "" {
				found[webhooks.DegradedLadder] = what
			}
		}
		h.judge(s, &in, found, now)
	}
}

// diagnose finds what is wrong at this moment: reasons and sentences. While the publisher is away, or has just come, nothing else can
// be told.
func (k *health) diagnose(in *stream.Info, now time.Time) map[string]string {
	found := map[string]string{}
	lost := uint64(0)
	for _, r := range lossReasons {
		lost += in.Drops[r]
	}
	if lost > k.lost {
		k.lastLoss = now
	}
	k.lost = lost // it begins anew with each publisher
	if in.State == stream.Waiting {
		found[webhooks.DegradedAway] = "The publisher is away."
		return found
	}
	if now.Sub(in.Since) < settlesIn {
		return found
	}
	if !k.lastLoss.IsZero() && now.Sub(k.lastLoss) < settlesIn {
		found[webhooks.DegradedLoss] = fmt.Sprintf("Frames are lost on the way or come damaged: %d since the publisher came.", lost)
	}
	var video, audio *stream.TrackInfo
	for i := range in.Tracks {
		t := &in.Tracks[i]
		kind := "audio"
		if t.Track.Video() {
			kind = "video"
		}
		if t.Bitrate == 0 {
			found[webhooks.DegradedSilent] = fmt.Sprintf("Nothing comes on the %s track %d.", kind, t.Track.ID)
			continue
		}
		switch {
		case !t.Track.Video():
			if audio == nil && !t.Track.Undelivered {
				audio = t
			}
		default:
			if video == nil {
				video = t
			}
			if f := t.Track.FrameRate; f > 0 && t.FrameRate > 0 && t.FrameRate < f*fewFrames {
				found[webhooks.DegradedFrameRate] = fmt.Sprintf("Only %.1f of %.1f frames a second arrive.", t.FrameRate, f)
			}
			if every := max(t.KeyframeInterval, t.SinceKeyframe); every > rareKeyframes {
				found[webhooks.DegradedKeyframes] = fmt.Sprintf("Key frames are %.1f s apart.", every.Seconds())
			}
		}
	}
	if video != nil && audio != nil && (video.Lead-audio.Lead).Abs() > apart {
		found[webhooks.DegradedSkew] = fmt.Sprintf("Sound and picture arrive %d ms apart.", (video.Lead - audio.Lead).Abs().Milliseconds())
	}
	return found
}

// judge tells what has been wrong, or right again, for long enough.
func (h *hooks) judge(s *show, in *stream.Info, found map[string]string, now time.Time) {
	all := s.health.troubles
	for reason, message := range found {
		t := all[reason]
		if t == nil {
			t = &trouble{since: now}
			all[reason] = t
		}
		t.good, t.message = time.Time{}, message
	}
	for _, reason := range slices.Sorted(maps.Keys(all)) {
		t := all[reason]
		_, bad := found[reason]
		switch {
		case bad && !t.told && now.Sub(t.since) >= badFor:
			t.told = true
			advice := in.Advice(now)
			if advice == nil {
				advice = []string{}
			}
			h.send(webhooks.StreamDegraded, s, now, webhooks.Degraded{
				Show: s.began.UnixMilli(), Reason: reason, Message: t.message, Advice: advice, Since: t.since.UTC(),
			})
		case bad:
		case in.State == stream.Waiting && reason != webhooks.DegradedAway:
			// Nobody knows; neither time runs.
		case t.good.IsZero():
			t.good = now
			if !t.told {
				delete(all, reason)
			}
		case now.Sub(t.good) >= goodFor:
			h.send(webhooks.StreamRecovered, s, now, webhooks.Recovered{
				Show: s.began.UnixMilli(), Reason: reason, DurationSeconds: seconds(t.good.Sub(t.since)),
			})
			delete(all, reason)
		}
	}
}
