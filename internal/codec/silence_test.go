package codec

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSilenceDecodes gives our silence to ffmpeg: it must decode without complaint to samples that are all zero.
func TestSilenceDecodes(t *testing.T) {
	t.Parallel()
	for channels := 1; channels <= 2; channels++ {
		frame := aacSilence(channels)
		var adts []byte
		for range 20 {
			n := len(frame) + 7
			// ADTS header (ISO/IEC 14496-3 1.A.3.2): MPEG-4, no CRC, LC, 48 kHz.
			adts = append(adts, 0xff, 0xf1, 1<<6|3<<2, byte(channels<<6|n>>11), byte(n>>3), byte(n<<5|0x1f), 0xfc)
			adts = append(adts, frame...)
		}
		file := filepath.Join(t.TempDir(), "silence.aac")
		if err := os.WriteFile(file, adts, 0o644); err != nil {
			t.Fatal(err)
		}
		var complaints strings.Builder
		cmd := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "warning", "-f", "aac", "-i", file, "-f", "s16le", "-")
		cmd.Stderr = &complaints
		pcm, err := cmd.Output()
		if err != nil || strings.Contains(complaints.String(), "rror") {
			t.Fatalf("%d channels: %v %s", channels, err, complaints.String())
		}
		if want := 20 * 1024 * 2 * channels; len(pcm) != want || len(bytes.Trim(pcm, "\x00")) != 0 {
			t.Errorf("%d channels: %d bytes of sound, want %d, all zero", channels, len(pcm), want)
		}
	}
	if aacSilence(6) != nil {
		t.Error("silence for a layout that it was not made for")
	}
}

// TestOpusSilenceLength: the packets say 20 ms, and how many channels.
func TestOpusSilenceLength(t *testing.T) {
	t.Parallel()
	for channels := 1; channels <= 2; channels++ {
		head := binary.LittleEndian.AppendUint32([]byte{'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, byte(channels), 0x38, 1}, 48000)
		track, err := NewOpus(100, append(head, 0, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if d, err := OpusDuration(track.Silence); err != nil || d != 960 || track.SilenceSamples != 960 || int(track.Silence[0]>>2&1)+1 != channels {
			t.Errorf("%d channels: %x lasts %d", channels, track.Silence, d)
		}
	}
}
