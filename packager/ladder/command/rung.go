package command

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"pushcart/internal/stream"
)

// Rung is one rendition as an operator asks for it.
type Rung struct {
	// Name in URIs, such as "480p", "480p-hevc" or "audio-64k". It follows from the other fields.
	Name string
	// Audio tells that the rung is of sound alone; only Bitrate counts then.
	Audio bool
	// Lines is the picture's shorter side in pixels, so that "480p" of a portrait is 480 wide; 0 where Width and Height are
	// given.
	Lines int
	// Width and Height is the box, in pixels, that a landscape picture has to fit in, a portrait one lying on its side; 0 where
	// Lines is given.
	Width, Height int
	// Bitrate in bits a second.
	Bitrate int
	// FrameRate is the most frames a second; 0 is the source's rate.
	FrameRate float64
	// Codec of the rung: H264, HEVC, AV1; AAC when it is of audio.
	Codec stream.Codec
	// Profile is the codec's profile, such as "main"; "" leaves the choice to the encoder line.
	Profile string
}

// Bounds of what a rung may ask for.
const (
	leastSide    = 32
	mostLines    = 4320
	mostSide     = 8192
	leastVideo   = 50_000 // bits a second
	mostBitrate  = 100_000_000
	leastAudio   = 16_000
	mostAudioBit = 320_000
	leastRate    = 1.0
	mostRate     = 240.0
)

// howto shows what a rung looks like.
const howto = `write it as "720p 1.8M", "480p 900k 30fps main", "1080p 4M hevc", "640x360 600k" or "audio 64k"`

// rungCodecs are the codecs that a rung of video may have, by the word for them.
var rungCodecs = map[string]stream.Codec{"h264": stream.H264, "hevc": stream.HEVC, "av1": stream.AV1}

// ParseRung reads a rung. The first word is its size or "audio"; the others come in any order: a bit rate, which must be there,
// a cap of the frame rate, a codec, a profile.
func ParseRung(text string) (Rung, error) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		return Rung{}, fmt.Errorf("a rung is empty; %s", howto)
	}
	r := Rung{Codec: stream.H264}
	if words[0] == "audio" {
		r.Audio, r.Codec = true, stream.AAC
	} else if err := r.size(words[0]); err != nil {
		return Rung{}, fmt.Errorf("rung %q: %w", text, err)
	}
	given := map[string]bool{}
	for _, word := range words[1:] {
		kind, err := r.word(word)
		switch {
		case err != nil:
			return Rung{}, fmt.Errorf("rung %q: %w", text, err)
		case given[kind]:
			return Rung{}, fmt.Errorf("rung %q has two of a kind: %s; leave one of them out", text, kind)
		}
		given[kind] = true
	}
	r.Name = r.name()
	if err := r.validate(); err != nil {
		return Rung{}, err
	}
	return r, nil
}

// size reads "720p" or "640x360".
func (r *Rung) size(word string) error {
	if lines, ok := strings.CutSuffix(word, "p"); ok {
		n, err := number(lines)
		if err != nil {
			return fmt.Errorf("%q is no size; %s", word, howto)
		}
		r.Lines = n
		return nil
	}
	w, h, ok := strings.Cut(word, "x")
	width, err1 := number(w)
	height, err2 := number(h)
	if !ok || err1 != nil || err2 != nil {
		return fmt.Errorf("%q is no size; %s", word, howto)
	}
	r.Width, r.Height = width, height
	return nil
}

// word reads one of the words behind the first, and tells its kind.
func (r *Rung) word(word string) (kind string, err error) {
	if codec, ok := rungCodecs[word]; ok && !r.Audio {
		r.Codec = codec
		return "a codec", nil
	}
	if rate, ok := strings.CutSuffix(word, "fps"); ok && !r.Audio {
		if r.FrameRate, err = decimal(rate); err != nil {
			return "", fmt.Errorf("%q is no frame rate; write for example 30fps", word)
		}
		return "a frame rate", nil
	}
	if word == "aac" && r.Audio {
		return "a codec", nil
	}
	if isProfile(word) && !r.Audio {
		r.Profile = word
		return "a profile", nil
	}
	if r.Bitrate, err = bitrate(word); err != nil {
		return "", fmt.Errorf("%q is not understood; %s", word, howto)
	}
	return "a bit rate", nil
}

// isProfile tells whether a word is the profile of some codec; validate tells whether it is that of the rung's.
func isProfile(word string) bool {
	switch word {
	case "baseline", "main", "high", "main10":
		return true
	}
	return false
}

// number reads a plain whole number of at most five digits.
func number(text string) (int, error) {
	if len(text) == 0 || len(text) > 5 || strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(text)
}

// decimal reads a plain number such as 29.97: no sign, no exponent, no names.
func decimal(text string) (float64, error) {
	if len(text) == 0 || len(text) > 12 || strings.Trim(text, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, 64)
}

// bitrate reads "1.8M", "900k" or a bare number of bits a second.
func bitrate(word string) (int, error) {
	times := 1.0
	if n, ok := strings.CutSuffix(word, "k"); ok {
		word, times = n, 1e3
	} else if n, ok := strings.CutSuffix(word, "m"); ok {
		word, times = n, 1e6
	}
	v, err := decimal(word)
	if err != nil || v*times > 1e12 {
		return 0, strconv.ErrSyntax
	}
	return int(math.Round(v * times)), nil
}

// name is the rung's name in URIs.
func (r Rung) name() string {
	switch {
	case r.Audio:
		if r.Bitrate%1000 == 0 {
			return fmt.Sprintf("audio-%dk", r.Bitrate/1000)
		}
		return fmt.Sprintf("audio-%d", r.Bitrate)
	case r.Lines > 0:
		return strconv.Itoa(r.Lines) + "p" + r.suffix()
	}
	return fmt.Sprintf("%dx%d%s", r.Width, r.Height, r.suffix())
}

func (r Rung) suffix() string {
	if r.Codec == stream.H264 {
		return ""
	}
	return "-" + codecWord(r.Codec)
}

// codecWord is a codec's name in rungs.
func codecWord(c stream.Codec) string {
	switch c {
	case stream.HEVC:
		return "hevc"
	case stream.AV1:
		return "av1"
	case stream.AAC:
		return "aac"
	}
	return "h264"
}

// bits writes a bit rate as short as it can be said exactly.
func bits(n int) string {
	switch {
	case n >= 1_000_000 && n%10_000 == 0:
		return strconv.FormatFloat(float64(n)/1e6, 'f', -1, 64) + "M"
	case n >= 1000 && n%100 == 0:
		return strconv.FormatFloat(float64(n)/1e3, 'f', -1, 64) + "k"
	}
	return strconv.Itoa(n)
}

// String is the rung as ParseRung reads it.
func (r Rung) String() string {
	if r.Audio {
		return "audio " + bits(r.Bitrate)
	}
	words := []string{fmt.Sprintf("%dx%d", r.Width, r.Height), bits(r.Bitrate)}
	if r.Lines > 0 {
		words[0] = strconv.Itoa(r.Lines) + "p"
	}
	if r.FrameRate > 0 {
		words = append(words, strconv.FormatFloat(r.FrameRate, 'f', -1, 64)+"fps")
	}
	if r.Codec != stream.H264 {
		words = append(words, codecWord(r.Codec))
	}
	if r.Profile != "" {
		words = append(words, r.Profile)
	}
	return strings.Join(words, " ")
}

// lines is the shorter side, by which rungs are sorted.
func (r Rung) lines() int {
	if r.Lines > 0 {
		return r.Lines
	}
	return min(r.Width, r.Height)
}

// validate tells what is wrong with a rung, by the words that it is written in.
func (r Rung) validate() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("rung %q: %s; %s", r.String(), fmt.Sprintf(format, args...), howto)
	}
	if r.Name != r.name() {
		return wrong("its name is %q and should be %q", r.Name, r.name())
	}
	if r.Audio {
		switch {
		case r.Bitrate == 0:
			return wrong("it has no bit rate")
		case r.Bitrate < leastAudio || r.Bitrate > mostAudioBit:
			return wrong("its bit rate has to be from %s to %s", bits(leastAudio), bits(mostAudioBit))
		case r.Codec != stream.AAC:
			return wrong("audio is made in AAC")
		}
		return nil
	}
	switch {
	case r.Lines == 0 && (r.Width < leastSide || r.Height < leastSide || r.Width > mostSide || r.Height > mostSide):
		return wrong("sides have to be from %d to %d", leastSide, mostSide)
	case r.Lines != 0 && (r.Lines < leastSide || r.Lines > mostLines):
		return wrong("lines have to be from %d to %d", leastSide, mostLines)
	case r.Bitrate == 0:
		return wrong("it has no bit rate")
	case r.Bitrate < leastVideo || r.Bitrate > mostBitrate:
		return wrong("its bit rate has to be from %s to %s", bits(leastVideo), bits(mostBitrate))
	case r.FrameRate != 0 && (r.FrameRate < leastRate || r.FrameRate > mostRate):
		return wrong("its frame rate has to be from %gfps to %gfps", leastRate, mostRate)
	case r.Codec != stream.H264 && r.Codec != stream.HEVC && r.Codec != stream.AV1:
		return wrong("its codec has to be h264, hevc or av1")
	}
	return r.validateProfile()
}

// profiles that a rung may name, by codec. Main 10 is chosen by the source: it goes with HDR.
var profiles = map[stream.Codec][]string{
	stream.H264: {"baseline", "main", "high"},
	stream.HEVC: {"main"},
	stream.AV1:  {"main"},
}

func (r Rung) validateProfile() error {
	if r.Profile == "" {
		return nil
	}
	for _, p := range profiles[r.Codec] {
		if p == r.Profile {
			return nil
		}
	}
	words := strings.Join(profiles[r.Codec], ", ")
	return fmt.Errorf("rung %q: %s has no profile %q here; write %s", r.String(), r.Codec, r.Profile, words)
}
