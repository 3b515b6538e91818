package stream

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStats measures a publisher of 30 frames a second with B-frames, 1 kB each, and a key frame every 2 s.
func TestStats(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h := NewHub(Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*Stream) []Consumer { return nil },
		Now:             func() time.Time { return now },
	})
	s, err := h.Publish("show", Publisher{Credential: "ann", Protocol: "rtmp", Remote: "192.0.2.1:5", Agent: "OBS"})
	if err != nil {
		t.Fatal(err)
	}
	s.SetTrack(picture)
	s.SetTrack(sound)
	_, from := s.Start()
	for i := range int64(10 * 30) {
		cts := i % 3 * 3000
		s.Write(&Frame{Track: picture, DTS: from + i*3000, PTS: from + i*3000 + cts, Key: i%60 == 0, Payload: make([]byte, 1000)})
		now = now.Add(time.Second / 30)
	}
	s.Drop("damaged")
	s.Drop("damaged")

	in := h.Get("show").Info()
	if in.Protocol != "rtmp" || in.Agent != "OBS" || in.Drops["damaged"] != 2 || len(in.Tracks) != 2 {
		t.Errorf("%+v", in)
	}
	v, a := in.Tracks[0], in.Tracks[1]
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > want/50 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("frame rate", v.FrameRate, 30)
	near("bit rate", v.Bitrate, 240_000)
	near("keyframe interval", v.KeyframeInterval.Seconds(), 2)
	near("time since the last key frame", v.SinceKeyframe.Seconds(), 59.0/30)
	near("reordering", v.Reorder.Seconds(), 2.0/30)
	if v.Frames != 300 || v.Bytes != 300_000 || a.Frames != 0 || a.Bitrate != 0 {
		t.Errorf("%+v %+v", v, a)
	}

	// What is gone counts no more; what was dropped does.
	now = now.Add(7 * time.Second)
	if r := h.Get("show").Info().Tracks[0]; r.Bitrate != 0 || r.FrameRate != 0 {
		t.Errorf("seven silent seconds later: %+v", r)
	}
	if _, err := h.Publish("show", Publisher{Credential: "ann"}); err != nil {
		t.Fatal(err)
	}
	if in := h.Get("show").Info(); len(in.Tracks) != 0 || in.Drops["damaged"] != 2 {
		t.Errorf("after a takeover: %+v", in)
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rated := &Track{ID: 0, Codec: H264, ClockRate: 90000, FrameRate: 30}
	video := func(change func(*TrackInfo)) TrackInfo {
		t := TrackInfo{Track: rated, Frames: 900, Bitrate: 3e6, FrameRate: 30, KeyframeInterval: 2 * time.Second}
		if change != nil {
			change(&t)
		}
		return t
	}
	audio := func(lead time.Duration) TrackInfo {
		return TrackInfo{Track: sound, Frames: 900, Bitrate: 128e3, FrameRate: 47, Lead: lead}
	}
	layer := func(id int, change func(*TrackInfo)) TrackInfo {
		t := video(change)
		t.Track = &Track{ID: id, Codec: H264, ClockRate: 90000, FrameRate: 30}
		return t
	}
	language := func(id int, lang, name string, lead time.Duration) TrackInfo {
		t := audio(lead)
		t.Track = &Track{ID: id, Codec: AAC, ClockRate: 48000, Language: lang, Name: name}
		return t
	}
	deaf := func(id int) TrackInfo {
		t := audio(time.Second)
		t.Track = &Track{ID: id, Codec: PCMU, ClockRate: 8000, Undelivered: true}
		return t
	}
	for name, c := range map[string]struct {
		tracks []TrackInfo
		drops  map[string]uint64
		state  State
		young  bool // the publisher has only just come
		off    time.Duration
		want   []string
	}{
		"all is well":           {tracks: []TrackInfo{video(nil), audio(0)}},
		"just begun":            {young: true},
		"nothing comes":         {want: []string{"No video", "No audio"}},
		"no video":              {tracks: []TrackInfo{audio(0)}, want: []string{"No video is sent"}},
		"no audio":              {tracks: []TrackInfo{video(nil)}, want: []string{"No audio is sent"}},
		"away":                  {state: Waiting, want: []string{"reconnect within 20 s"}},
		"audio behind":          {tracks: []TrackInfo{video(nil), audio(-400 * time.Millisecond)}, want: []string{"Audio is 400 ms behind video"}},
		"audio ahead":           {tracks: []TrackInfo{video(nil), audio(300 * time.Millisecond)}, want: []string{"Audio is 300 ms ahead of video"}},
		"audio a little behind": {tracks: []TrackInfo{video(nil), audio(-200 * time.Millisecond)}},
		"rare key frames":       {tracks: []TrackInfo{video(func(t *TrackInfo) { t.KeyframeInterval = 8300 * time.Millisecond }), audio(0)}, want: []string{"Keyframes arrive every 8.3 s: set the keyframe interval to 2 s"}},
		"no second key frame":   {tracks: []TrackInfo{video(func(t *TrackInfo) { t.KeyframeInterval, t.SinceKeyframe = 0, 20*time.Second }), audio(0)}, want: []string{"Keyframes arrive every 20.0 s"}},
		"many key frames":       {tracks: []TrackInfo{video(func(t *TrackInfo) { t.KeyframeInterval = 500 * time.Millisecond }), audio(0)}, want: []string{"Keyframes arrive every 0.5 s: set 2 s"}},
		"B-frames":              {tracks: []TrackInfo{video(func(t *TrackInfo) { t.Reorder = 66 * time.Millisecond }), audio(0)}, want: []string{"B-frames add 66 ms"}},
		"too much":              {tracks: []TrackInfo{video(func(t *TrackInfo) { t.Bitrate = 20e6 }), audio(0)}, want: []string{"20.0 Mbit/s"}},
		"frames are missing":    {tracks: []TrackInfo{video(func(t *TrackInfo) { t.FrameRate = 12 }), audio(0)}, want: []string{"Only 12.0 of 30.0 frames"}},
		"declared, but silent":  {tracks: []TrackInfo{video(nil), {Track: sound}}, want: []string{"The audio track is declared"}},
		"two layers":            {tracks: []TrackInfo{video(nil), layer(1, nil), audio(0)}},
		"a layer's key frames": {tracks: []TrackInfo{video(nil), layer(1, func(t *TrackInfo) { t.KeyframeInterval = 8 * time.Second }), audio(0)},
			want: []string{"On the video 1 track: Keyframes arrive every 8.0 s"}},
		"key frames apart": {tracks: []TrackInfo{video(nil), layer(2, func(t *TrackInfo) { t.Keyframe = 90000 * 8 / 10 }), audio(0)},
			want: []string{"Key frames of the video 0 and video 2 tracks are 800 ms apart"}},
		"key frames apart by whole intervals": {tracks: []TrackInfo{video(nil), layer(2, func(t *TrackInfo) { t.Keyframe = 6*90000 - 900 }), audio(0)}},
		"a layer is off":                      {tracks: []TrackInfo{video(nil), layer(1, func(t *TrackInfo) { t.Bitrate = 0 }), audio(0)}, want: []string{"The video 1 track is declared, but nothing"}},
		"two languages": {tracks: []TrackInfo{video(nil), audio(0), language(101, "de", "", -400*time.Millisecond)},
			want: []string{"Audio 101 (de) is 400 ms behind video"}},
		"a named track": {tracks: []TrackInfo{video(nil), audio(0), language(101, "de", "Regie", 400*time.Millisecond)},
			want: []string{`Audio "Regie" is 400 ms ahead of video`}},
		"audio that nobody hears": {tracks: []TrackInfo{video(nil), deaf(100)},
			want: []string{"The audio is G.711 µ-law, which browsers cannot play over HLS: set the encoder's audio to AAC. Until then viewers see"}},
		"one of two audio tracks that nobody hears": {tracks: []TrackInfo{video(nil), audio(0), deaf(101)},
			want: []string{"The audio 101 is G.711 µ-law, which browsers cannot play over HLS: set the encoder's audio to AAC."}},
		"the publisher's clock": {tracks: []TrackInfo{video(nil), audio(0)}, off: -3*time.Hour - time.Minute,
			want: []string{"The publisher's clock is 3 h behind: viewers' dates are those of arrival."}},
		"lost and too many": {tracks: []TrackInfo{video(nil), audio(0)}, drops: map[string]uint64{"packets_lost": 3, "too_many_tracks": 9},
			want: []string{"3 access units were lost on the way", "9 frames were ignored"}},
		"drops, always in order": {tracks: []TrackInfo{video(nil), audio(0)}, drops: map[string]uint64{"time_went_back": 7, "damaged": 3, "before_keyframe": 9}, want: []string{"3 damaged frames", "7 frames were dropped because"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := Info{State: Live, Since: now.Add(-time.Minute), Tracks: c.tracks, Drops: c.drops, ClockOff: c.off}
			if c.state != "" {
				in.State, in.Until = c.state, now.Add(20*time.Second)
			}
			if c.young {
				in.Since = now.Add(-time.Second)
			}
			for range 20 {
				got := in.Advice(now)
				ok := len(got) == len(c.want) && !slices.ContainsFunc(c.want, func(w string) bool {
					return !strings.Contains(got[slices.Index(c.want, w)], w)
				})
				if !ok {
					t.Fatalf("advice:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
			}
		})
	}
}

func TestRescale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v        int64
		from, to int
		want     int64
	}{
		{0, 90000, 48000, 0}, {90000, 90000, 48000, 48000}, {1, 90000, 48000, 1}, {1, 48000, 90000, 2}, {-1, 48000, 90000, -2},
		{-90001, 90000, 1000, -1000}, {1, 3, 1, 0}, {2, 3, 1, 1}, {7, 90000, 90000, 7},
		{4e9 * 90000, 90000, 192000, 4e9 * 192000}, // the year 2096, in audio ticks
		{4e9 * 90000, 90000, 1e9, 4e18},
	} {
		if got := Rescale(c.v, c.from, c.to); got != c.want {
			t.Errorf("%d from %d to %d: %d, want %d", c.v, c.from, c.to, got, c.want)
		}
	}
}

// TestKeyframesAcrossAPause: what lies between the key frames before and after a pause, of a layer that was off or of pictures that
// were lost, is not how often the encoder sends them.
func TestKeyframesAcrossAPause(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h := NewHub(Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*Stream) []Consumer { return nil },
		Now:             func() time.Time { return now },
	})
	s, err := h.Publish("show", Publisher{Credential: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	s.SetTrack(picture)
	write := func(ms int) {
		at := int64(ms) * 90
		s.Write(&Frame{Track: picture, DTS: at, PTS: at, Key: ms%2000 == 0, Payload: make([]byte, 100)})
		now = now.Add(40 * time.Millisecond)
	}
	for ms := 0; ms < 10_000; ms += 40 {
		write(ms)
	}
	now = now.Add(time.Minute)
	for ms := 70_000; ms < 71_000; ms += 40 {
		write(ms)
	}
	in := h.Get("show").Info()
	if got := in.Tracks[0].KeyframeInterval; got != 2*time.Second {
		t.Errorf("the keyframe interval is %v", got)
	}
	for _, sentence := range in.Advice(now) {
		if strings.Contains(sentence, "Keyframes") {
			t.Error(sentence)
		}
	}
	for ms := 71_000; ms < 77_000; ms += 40 {
		if ms%4000 != 0 { // every other one stays away, and pictures go on
			write(ms)
		} else {
			write(ms + 1)
		}
	}
	if got := h.Get("show").Info().Tracks[0].KeyframeInterval; got != 4*time.Second {
		t.Errorf("the keyframe interval is %v afterwards", got)
	}
}
