package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// flvFile writes tags as a file has them.
func flvFile(tags ...Tag) []byte {
	b := []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	for _, t := range tags {
		n := len(t.Data)
		b = append(b, t.Kind, byte(n>>16), byte(n>>8), byte(n), byte(t.At>>16), byte(t.At>>8), byte(t.At), byte(t.At>>24), 0, 0, 0)
		b = append(b, t.Data...)
		b = binary.BigEndian.AppendUint32(b, uint32(n+flvTag))
	}
	return b
}

// TestSynthesizedDecodes: ffmpeg decodes every picture and every frame of sound without a complaint, stamped ones too, and the bit
// rate is the one that was asked for.
func TestSynthesizedDecodes(t *testing.T) {
	t.Parallel()
	for _, s := range []Spec{
		{Width: 1280, Height: 720, FPS: 30, Bitrate: 1_500_000},
		{Width: 642, Height: 358, FPS: 25, Bitrate: 300_000}, // cropped
		{Width: 320, Height: 180, FPS: 60, Bitrate: 60_000},  // pictures without any noise
	} {
		t.Run(fmt.Sprintf("%dx%d", s.Width, s.Height), func(t *testing.T) {
			t.Parallel()
			c, err := Synthesize(s)
			if err != nil {
				t.Fatal(err)
			}
			stamps := NewStamps(1, epoch)
			tags := append([]Tag(nil), c.Configs...)
			for i, f := range c.Frames {
				stamped, ok := withStamp(f)
				if ok != (f.Kind == TagVideo) {
					t.Fatalf("frame %d of kind %d: stamped %v", i, f.Kind, ok)
				}
				if ok {
					stamps.write(stamped.Data[stampAt:], 0, i)
				}
				tags = append(tags, stamped)
			}
			file := filepath.Join(t.TempDir(), "clip.flv")
			if err := os.WriteFile(file, flvFile(tags...), 0o600); err != nil {
				t.Fatal(err)
			}
			var complaints bytes.Buffer
			cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "warning", "-nostdin", "-xerror", "-err_detect", "explode", "-i", file,
				"-progress", "-", "-f", "null", "-")
			cmd.Stderr = &complaints
			out, err := cmd.Output()
			if err != nil || complaints.Len() > 0 {
				t.Fatalf("ffmpeg: %v: %s", err, complaints.String())
			}
			want := fmt.Sprintf("frame=%d\n", 8*s.FPS)
			if !strings.Contains(string(out), want) {
				t.Errorf("ffmpeg decoded other than %q:\n%s", want, out)
			}
			if got, goal := c.Bitrate(), s.Bitrate+128_000; got < goal*97/100 || got > goal*106/100 {
				t.Errorf("%d bit/s, want %d", got, goal)
			}
		})
	}
}

func TestSynthesizeRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []Spec{{Width: 1281, Height: 720}, {Width: 16, Height: 720}, {FPS: 1000}, {FPS: -1}, {Bitrate: 1}, {Bitrate: 1 << 40}, {Width: 5000, Height: 2}} {
		if _, err := Synthesize(s); err == nil {
			t.Errorf("%+v was made", s)
		}
	}
}
