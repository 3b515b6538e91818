package testkit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
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
	VP8  FourCC = "vp08"
	PCMA FourCC = "alaw"
)

// Video tells whether it is a coding of pictures.
func (c FourCC) Video() bool { return c == AVC || c == HEVC || c == AV1 || c == VP8 }

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
	file, container := filepath.Join(dir, "clip.mp4"), []string{"-movflags", "+delay_moov+default_base_moof+frag_keyframe"}
	if codec == VP8 { // which this program does not put into MP4
		file, container = filepath.Join(dir, "clip.ivf"), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all := []string{"-hide_banner", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", source, "-t", fmt.Sprint(clipLength)}
	all = append(append(append(all, args...), container...), file)
	if out, err := exec.CommandContext(ctx, "ffmpeg", all...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ffmpeg %s: %w: %s", strings.Join(all, " "), err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if codec == VP8 {
		return readIVF(data)
	}
	return readClip(codec, data)
}

// readIVF takes a file of VP8 apart: a header of 32 bytes with the time base at 16, and before each frame its size and time,
// all little endian.
func readIVF(data []byte) (*Clip, error) {
	if len(data) < 32 || string(data[:4]) != "DKIF" {
		return nil, errors.New("clip of VP8: no IVF file")
	}
	rate, unit := binary.LittleEndian.Uint32(data[16:]), binary.LittleEndian.Uint32(data[20:])
	c := &Clip{Codec: VP8}
	for data = data[32:]; len(data) >= 12; {
		size, at := int(binary.LittleEndian.Uint32(data)), int64(binary.LittleEndian.Uint64(data[4:]))
		if size == 0 || size > len(data)-12 {
			return nil, fmt.Errorf("clip of VP8: a frame of %d bytes where %d are left", size, len(data)-12)
		}
		frame := data[12 : 12+size]
		// RFC 6386 9.1: the lowest bit is 0 in key frames.
		c.Samples = append(c.Samples, Sample{DTS: scale(at*int64(unit), int64(rate)), Key: frame[0]&1 == 0, Payload: frame})
		c.Length = scale((at+1)*int64(unit), int64(rate))
		data = data[12+size:]
	}
	return c, nil
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

// OpusSound is a clip of stereo Opus in packets of 20 ms.
func OpusSound(t testing.TB) *Clip {
	t.Helper()
	return Encode(t, Opus, "anoisesrc=amplitude=0.1:sample_rate=48000", "-c:a", "libopus", "-ac", "2", "-b:a", "64k")
}

// Telephone is a clip of G.711 A-law at 8,000 Hz in pieces of 20 ms: noise, so that no two are alike.
func Telephone() *Clip {
	const piece = 160 // bytes, one for each sample
	noise := rand.New(rand.NewPCG(8000, 711))
	c := &Clip{Codec: PCMA, Length: clipLength * time.Second}
	for at := time.Duration(0); at < c.Length; at += 20 * time.Millisecond {
		payload := make([]byte, piece)
		for i := range payload {
			payload[i] = byte(noise.Uint32())
		}
		c.Samples = append(c.Samples, Sample{DTS: at, Key: true, Payload: payload})
	}
	return c
}

// VP8Pictures is a clip of VP8 of 160x90 at 10 frames a second with a key frame each second: it takes long to encode.
func VP8Pictures(t testing.TB) *Clip {
	t.Helper()
	return Encode(t, VP8, "testsrc2=size=160x90:rate=10", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "10",
		"-keyint_min", "10", "-b:v", "200k", "-pix_fmt", "yuv420p")
}
