package ladder

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/command"
)

// sourceHelp shows how a source is described.
const sourceHelp = `describe the source, such as "h264 1920x1080 30fps aac"`

// DryRun tells what would be called for a stream. name is a stream's or a ladder's; source describes what its publisher sends, such
// as "h264 1920x1080 30fps aac" or "vp8 720x1280 opus mono"; "" is what the live stream of that name has. It makes the trial of
// the engines where Run was never called, and waits for it where it was.
func (m *Manager) DryRun(ctx context.Context, name, source string) (Commands, error) {
	m.try(ctx)
	if ctx.Err() != nil {
		return Commands{}, fmt.Errorf("try the encoders: %w", context.Cause(ctx))
	}
	set := m.opt.Settings()
	if set.Program == "" {
		return Commands{}, fmt.Errorf("ladder.ffmpeg is empty: nothing is encoded")
	}
	if problem := m.engines.trouble(false); problem != "" {
		return Commands{}, fmt.Errorf("nothing can be encoded: %s", problem)
	}
	tracks, key, err := m.sourceOf(name, source)
	if err != nil {
		return Commands{}, err
	}
	ladder := set.named(name)
	if ladder == nil {
		ladder = set.choose(name, key)
	}
	plan := command.MakePlan(tracks, ladder, command.PlanOptions{Convert: set.Convert, Poster: set.Poster})
	return m.commands(name, &set, ladder, &plan)
}

// sourceOf are the tracks that a dry run is for, and the ladder that their publisher's key asks for.
func (m *Manager) sourceOf(name, source string) (tracks []*stream.Track, key string, err error) {
	if source != "" {
		tracks, err = parseSource(source)
		return tracks, "", err
	}
	l := m.of(name)
	if l == nil {
		return nil, "", fmt.Errorf("source: no stream %q is live: %s", name, sourceHelp)
	}
	l.mu.Lock()
	tracks = l.all
	l.mu.Unlock()
	if len(tracks) == 0 {
		return nil, "", fmt.Errorf("source: stream %q has no publisher now: %s", name, sourceHelp)
	}
	return tracks, l.s.Ladder(), nil
}

// commands writes out a plan.
func (m *Manager) commands(name string, set *Settings, ladder *command.Ladder, plan *command.Plan) (Commands, error) {
	out := Commands{Notes: plan.Notes}
	if ladder != nil {
		out.Ladder = ladder.Name
	}
	line := func(args []string) { out.Lines = append(out.Lines, append([]string{set.Program}, args...)) }
	if plan.Picture != nil {
		if e, on, notes, ok := m.engines.pick(plan.Picture, name); ok {
			out.Engine, out.Notes = string(e.Backend), append(out.Notes, notes...)
			line(on.Args(e, command.Settings{Threads: set.Threads}))
		} else {
			out.Notes = append(out.Notes, "Pictures are not encoded: "+m.engines.trouble(true)+".")
		}
	}
	for i := range plan.Sound {
		line(plan.Sound[i].Args(command.Settings{Threads: set.Threads}))
	}
	return out, nil
}

// sourceCodecs are the words for codecs in the description of a source.
var sourceCodecs = map[string]stream.Codec{
	"h264": stream.H264, "avc": stream.H264, "hevc": stream.HEVC, "h265": stream.HEVC, "av1": stream.AV1, "vp8": stream.VP8, "vp9": stream.VP9,
	"aac": stream.AAC, "opus": stream.Opus, "mp3": stream.MP3, "pcma": stream.PCMA, "alaw": stream.PCMA, "pcmu": stream.PCMU, "ulaw": stream.PCMU,
}

// parseSource reads the description of a source: the codecs of picture and sound, the picture's size and frame rate, "mono", "pq"
// or "hlg" for HDR, in any order.
func parseSource(text string) ([]*stream.Track, error) {
	video := &stream.Track{ClockRate: 90000, Width: 1920, Height: 1080, FrameRate: 30}
	audio := &stream.Track{ID: 100, Channels: 2}
	for _, word := range strings.Fields(strings.ToLower(text)) {
		if err := describe(video, audio, word); err != nil {
			return nil, err
		}
	}
	var tracks []*stream.Track
	if video.Codec != 0 {
		tracks = append(tracks, video)
	}
	if audio.Codec != 0 {
		tracks = append(tracks, audio)
	}
	if len(tracks) == 0 {
		return nil, fmt.Errorf("source: %q names no codec: %s", text, sourceHelp)
	}
	return tracks, nil
}

// describe takes one word of a source's description.
func describe(video, audio *stream.Track, word string) error {
	if c, ok := sourceCodecs[word]; ok {
		if c.Video() {
			video.Codec = c
			return nil
		}
		audio.Codec, audio.SampleRate = c, 48000
		if c == stream.PCMA || c == stream.PCMU {
			audio.SampleRate, audio.Channels = 8000, 1
		}
		audio.ClockRate = audio.SampleRate
		return nil
	}
	if w, h, ok := strings.Cut(word, "x"); ok {
		width, err1 := strconv.Atoi(w)
		height, err2 := strconv.Atoi(h)
		if err1 == nil && err2 == nil && width >= 2 && height >= 2 && width <= 16384 && height <= 16384 {
			video.Width, video.Height = width, height
			return nil
		}
	}
	if r, ok := strings.CutSuffix(word, "fps"); ok {
		if rate, err := strconv.ParseFloat(r, 64); err == nil && rate > 0 && rate <= 240 {
			video.FrameRate = rate
			return nil
		}
	}
	switch word {
	case "mono":
		audio.Channels = 1
	case "stereo":
		audio.Channels = 2
	case "pq":
		video.Color = stream.Color{Primaries: 9, Transfer: stream.TransferPQ, Matrix: 9, Depth: 10}
	case "hlg":
		video.Color = stream.Color{Primaries: 9, Transfer: stream.TransferHLG, Matrix: 9, Depth: 10}
	default:
		return fmt.Errorf("source: %q is not understood: %s", word, sourceHelp)
	}
	return nil
}
