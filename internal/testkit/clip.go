package testkit

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// FourCC names a coding as Enhanced RTMP does.
type FourCC string

// The codings that clips come in.
const (
	AVC  FourCC = "avc1"
	HEVC FourCC = "hvc1"
	AV1  FourCC = "av01"
	AAC  FourCC = "mp4a"
	Opus FourCC = "Opus"
	MP3  FourCC = ".mp3"
)

// Video tells whether it is a coding of pictures.
func (c FourCC) Video() bool { return c == AVC || c == HEVC || c == AV1 }

// Sample is one access unit of a clip.
type Sample struct {
	// DTS counts from the clip's first sample; Offset is what PTS lies behind it.
	DTS, Offset time.Duration
	Key         bool
	Payload     []byte
}

// Clip is a piece of one elementary stream. It is shared between tests: nobody changes it.
type Clip struct {
	Codec FourCC
	// Config is the codec data as RTMP carries it: a decoder configuration record, an AudioSpecificConfig or OpusHead.
	Config  []byte
	Samples []Sample
	// Length is the last sample's end.
	Length time.Duration
}

// Clips are made once for all tests of a run, when the first asks for them.
var clips = struct {
	mu  sync.Mutex // guards all
	all map[string]*lazyClip
}{all: map[string]*lazyClip{}}

type lazyClip struct {
	once sync.Once
	clip *Clip
	err  error
}

// clipLength is how much media a clip has, in seconds: enough for every test, so that nothing repeats.
const clipLength = 20

// Encode has ffmpeg make a clip of moving pictures, or of noise, so that no two frames are alike: source is a lavfi input
// without its duration, and args are the encoder's. It ends the test when ffmpeg fails.
func Encode(t testing.TB, codec FourCC, source string, args ...string) *Clip {
	t.Helper()
	id := fmt.Sprint(codec, source, args)
	clips.mu.Lock()
	lazy := clips.all[id]
	if lazy == nil {
		lazy = &lazyClip{}
		clips.all[id] = lazy
	}
	clips.mu.Unlock()
	lazy.once.Do(func() { lazy.clip, lazy.err = encode(codec, source, args) })
	if lazy.err != nil {
		t.Fatal(lazy.err)
	}
	return lazy.clip
}

func encode(codec FourCC, source string, args []string) (*Clip, error) {
	dir, err := os.MkdirTemp("", "pushcart-clip-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "clip.mp4")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all := []string{"-hide_banner", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", source, "-t", fmt.Sprint(clipLength)}
	all = append(append(all, args...), "-movflags", "+delay_moov+default_base_moof+frag_keyframe", file)
	if out, err := exec.CommandContext(ctx, "ffmpeg", all...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ffmpeg %s: %w: %s", strings.Join(all, " "), err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return readClip(codec, data)
}

// readClip takes a fragmented MP4 file with one track apart.
func readClip(codec FourCC, data []byte) (*Clip, error) {
	head := bytes.Index(data, []byte("moof")) - 4
	tail := bytes.LastIndex(data, []byte("mfra")) - 4
	if head < 0 || tail < head {
		return nil, fmt.Errorf("clip of %s: no fragments", codec)
	}
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(data[:head])); err != nil || len(init.Tracks) != 1 {
		return nil, fmt.Errorf("clip of %s: %d tracks: %w", codec, len(init.Tracks), err)
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(data[head:tail]); err != nil {
		return nil, fmt.Errorf("clip of %s: %w", codec, err)
	}
	config, err := configOf(codec, data[:head], init.Tracks[0])
	if err != nil {
		return nil, fmt.Errorf("clip of %s: %w", codec, err)
	}
	c := &Clip{Codec: codec, Config: config}
	rate := int64(init.Tracks[0].TimeScale)
	var dts int64
	for _, p := range parts {
		for i, s := range p.Tracks[0].Samples {
			// Each fragment begins with a key frame and has no other.
			key := i == 0 || !codec.Video()
			c.Samples = append(c.Samples, Sample{
				DTS: scale(dts, rate), Offset: scale(int64(s.PTSOffset), rate), Key: key, Payload: s.Payload,
			})
			dts += int64(s.Duration)
		}
	}
	c.Length = scale(dts, rate)
	return c, nil
}

func scale(v, rate int64) time.Duration {
	return time.Duration(v/rate)*time.Second + time.Duration(v%rate)*time.Second/time.Duration(rate)
}

// configOf finds the codec data in an initialisation section.
func configOf(codec FourCC, init []byte, track *fmp4.InitTrack) ([]byte, error) {
	switch c := track.Codec.(type) {
	case *codecs.MPEG4Audio:
		return c.Config.Marshal()
	case *codecs.Opus:
		// RFC 7845 5.1
		head := append([]byte("OpusHead"), 1, byte(c.ChannelCount))
		head = binary.LittleEndian.AppendUint16(head, 312)
		head = binary.LittleEndian.AppendUint32(head, 48000)
		return append(head, 0, 0, 0), nil
	case *codecs.MPEG1Audio:
		return nil, nil
	}
	name := map[FourCC]string{AVC: "avcC", HEVC: "hvcC", AV1: "av1C"}[codec]
	i := bytes.Index(init, []byte(name))
	if name == "" || i < 4 {
		return nil, fmt.Errorf("no codec data for %s", codec)
	}
	size := int(binary.BigEndian.Uint32(init[i-4:]))
	if size < 8 || i-4+size > len(init) {
		return nil, fmt.Errorf("box %s has size %d", name, size)
	}
	return bytes.Clone(init[i+4 : i-4+size]), nil
}

// Pictures are clips of H.264 of 320x180 at 25 frames a second with a key frame each second.
func Pictures(t testing.TB, args ...string) *Clip {
	t.Helper()
	return Encode(t, AVC, "testsrc2=size=320x180:rate=25",
		append([]string{"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt", "yuv420p"}, args...)...)
}

// Sound is a clip of stereo AAC at 44,100 Hz.
func Sound(t testing.TB) *Clip {
	t.Helper()
	return Encode(t, AAC, "anoisesrc=amplitude=0.1:sample_rate=44100", "-c:a", "aac", "-ac", "2", "-b:a", "64k")
}
