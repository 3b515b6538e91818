package child

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// TestEnvironment: what is for children, and nothing else.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	got := Environment([]string{
		"PATH=/bin", "HOME=/h", "LANG=C", "LD_LIBRARY_PATH=/l", "LIBVA_DRIVER_NAME=iHD", "CUDA_VISIBLE_DEVICES=1", "NVIDIA_DRIVER_CAPABILITIES=all",
		"ROCR_VISIBLE_DEVICES=0", "PATH=/usr/bin", "HOME=",
		"PUSHCART_TOKEN=x", "PUSHCART_VISIBLE_DEVICES=x", "PATHS=x", "LD_PRELOAD=x", "GST_PLUGIN_PATH=x", "AWS_SECRET_ACCESS_KEY=x", "VISIBLE_DEVICES=x",
		"MY_VISIBLE_DEVICES", "libva_x=x", "=x", "",
	})
	want := []string{
		"PATH=/usr/bin", "HOME=", "LANG=C", "LD_LIBRARY_PATH=/l", "LIBVA_DRIVER_NAME=iHD", "CUDA_VISIBLE_DEVICES=1", "NVIDIA_DRIVER_CAPABILITIES=all",
		"ROCR_VISIBLE_DEVICES=0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if Environment(nil) == nil {
		t.Error("nil, which os/exec takes for the node's own")
	}
}

// TestLastLines: lines are cleaned, and those that come again are counted.
func TestLastLines(t *testing.T) {
	t.Parallel()
	l := newLastLines()
	for _, piece := range []string{
		"[h264 @ 0x55d0c0] no frame!\n[h264 @ 0x66", "d0c0] no frame!\r\r\n\n", "\x1b[0;31mred\x1b[0m\t\u202eback\x00wards \xff\n",
		"[h264 @ 0x1] no frame!\n", strings.Repeat("ü", 1000) + "\n", " the last",
	} {
		l.write([]byte(piece))
	}
	l.end()
	want := []string{"red backwards \ufffd", "[h264] no frame! (3 times)", strings.Repeat("ü", 198) + "…", "the last"}
	if got := l.all(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for i := range 100 {
		l.write(fmt.Appendf(nil, "line %d\n", i))
	}
	if got := l.all(); len(got) != mostLines || got[0] != "line 80" || got[19] != "line 99" {
		t.Errorf("%q", got)
	}
}

// TestTelling: of ffmpeg's last lines, the one that says what is wrong.
func TestTelling(t *testing.T) {
	t.Parallel()
	for want, said := range map[string][]string{
		"[h264_nvenc] Cannot load libcuda.so.1": {
			"Something before", "[h264_nvenc @ 0x55] Cannot load libcuda.so.1",
			"Error initializing output stream 0:0 -- Error while opening encoder for output stream #0:0 - maybe incorrect parameters",
		},
		"[AVHWDeviceContext] No VA display found for device /dev/dri/renderD128.": {
			"[AVHWDeviceContext @ 0x55] No VA display found for device /dev/dri/renderD128.",
			"[vost#0:0/h264_vaapi @ 0x56] Error while opening encoder - maybe incorrect parameters",
			"[vf#0:0 @ 0x57] Error sending frames to consumers: Invalid argument", "[vf#0:0 @ 0x57] Task finished with error code: -22",
			"Conversion failed!",
		},
		"[AVHWDeviceContext] Cannot load libcuda.so.1": {
			"[AVHWDeviceContext @ 0x5586ff788980] Cannot load libcuda.so.1", "[AVHWDeviceContext @ 0x5586ff788980] Could not dynamically load CUDA",
			"Device creation failed: -1.", "Failed to set value 'cuda' for option 'init_hw_device': Operation not permitted",
			"Error parsing global options: Operation not permitted",
		},
		"Failed to set value 'qsv=hw' for option 'init_hw_device': Generic error in an external library": {
			"Device creation failed: -542398533.", "Failed to set value 'qsv=hw' for option 'init_hw_device': Generic error in an external library",
			"Error parsing global options: Generic error in an external library",
		},
		"Error reinitializing filters!": {"Error reinitializing filters!", "Conversion failed!"},
		"":                              nil,
	} {
		l := newLastLines()
		for _, line := range said {
			l.write([]byte(line + "\n"))
		}
		if got := l.telling(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestProgress: reports of ffmpeg 5.1, whole, cut anywhere, and what is not known.
func TestProgress(t *testing.T) {
	t.Parallel()
	text := "frame=50\nfps=29.97\nstream_0_0_q=-1.0\nbitrate= 289.4kbits/s\ntotal_size=68015\nout_time_us=1880020\nout_time_ms=1880020\n" +
		"out_time=00:00:01.880020\ndup_frames=1\ndrop_frames=2\nspeed=15.3x\nprogress=continue\n" +
		"frame=N/A\nfps=nan\nspeed=   0x\nout_time_us=N/A\nout_time_ms=-9223372036854775807\nnonsense\n=\ndrop_frames=-4\nprogress=end\n"
	first := Progress{
		Reports: 1, Frames: 50, FPS: 29.97, Speed: 15.3, Dropped: 2, Duplicated: 1, OutTime: 1880020 * time.Microsecond,
	}
	for cut := range text {
		p := newProgressReader()
		p.write([]byte(text[:cut]))
		switch got := p.get(); {
		case cut < strings.Index(text, "frame=N/A") && got.Reports == 0 && got != Progress{}:
			t.Fatalf("cut at %d: %+v", cut, got)
		case got.Reports == 1 && got != first:
			t.Fatalf("cut at %d: %+v, want %+v", cut, got, first)
		}
		p.write([]byte(text[cut:]))
		if got, want := p.get(), (Progress{Reports: 2, Ended: true}); got != want {
			t.Fatalf("cut at %d: %+v, want %+v", cut, got, want)
		}
	}
}

// TestParseEncoders: names stand behind the dashes; only those of video count.
func TestParseEncoders(t *testing.T) {
	t.Parallel()
	got := parseEncoders([]byte("Encoders:\n V..... = Video\n ------\n V....D libx264    libx264 H.264 (codec h264)\n A..... aac  AAC\n V.....\n\n VFSXBD x\n"))
	if len(got) != 2 || !got["libx264"] || !got["x"] {
		t.Errorf("%v", got)
	}
}

// FuzzLastLines: whatever is said, in whatever pieces, what is kept is short and may stand in a log.
func FuzzLastLines(f *testing.F) {
	f.Add([]byte("[h264 @ 0x55d0c0] no frame!\r\x1b[31mred\x1b[0m\n\xff\xfe\u202e"), uint(3))
	f.Add([]byte(" @ 0x @ 0x1 \x1b["), uint(1))
	f.Add(bytes.Repeat([]byte("ü\u2028"), 600), uint(7))
	f.Fuzz(func(t *testing.T, said []byte, piece uint) {
		l, whole := newLastLines(), newLastLines()
		whole.write(said)
		whole.end()
		for p := range slices.Chunk(said, int(piece%64)+1) {
			l.write(p)
		}
		l.end()
		kept := l.all()
		if !slices.Equal(kept, whole.all()) {
			t.Errorf("in pieces %q, at once %q", kept, whole.all())
		}
		if len(kept) > mostLines {
			t.Errorf("%d lines", len(kept))
		}
		for _, k := range l.kept {
			bad := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
			if k.text == "" || len(k.text) > mostLine || !utf8.ValidString(k.text) || strings.ContainsFunc(k.text, bad) || k.times < 1 {
				t.Errorf("%d times %q", k.times, k.text)
			}
		}
	})
}

// FuzzProgress: whatever is reported, numbers are numbers.
func FuzzProgress(f *testing.F) {
	f.Add([]byte("frame=12\nfps=25.00\nout_time_us=1000\nspeed=1e309x\nprogress=continue\n"), uint(5))
	f.Add([]byte("out_time_ms=99999999999999999\nfps=-1\nprogress=end\nframe=1"), uint(2))
	f.Fuzz(func(t *testing.T, reports []byte, piece uint) {
		p := newProgressReader()
		for b := range slices.Chunk(reports, int(piece%64)+1) {
			p.write(b)
		}
		got := p.get()
		ok := func(x float64) bool { return x >= 0 && !math.IsInf(x, 0) }
		if got.Frames < 0 || got.Dropped < 0 || got.Duplicated < 0 || !ok(got.FPS) || !ok(got.Speed) || got.Reports > len(reports)/9 {
			t.Errorf("%+v", got)
		}
	})
}

// FuzzParseEncoders: a list that is none does no harm.
func FuzzParseEncoders(f *testing.F) {
	f.Add([]byte("------\n V....D libx264 x\n"))
	f.Fuzz(func(t *testing.T, list []byte) {
		for name := range parseEncoders(list) {
			if name == "" || strings.ContainsAny(name, " \n") {
				t.Errorf("%q", name)
			}
		}
	})
}
