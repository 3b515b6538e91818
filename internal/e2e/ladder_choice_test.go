package e2e

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
	"pushcart/overlay/api"
)

// TestLadderPoster gets a stream's picture for lists and pages: a JPEG with the show's aspect, and another one later.
func TestLadderPoster(t *testing.T) {
	t.Parallel()
	for _, clip := range []string{"30", "portrait"} {
		t.Run(clip, func(t *testing.T) {
			t.Parallel()
			n := laddered(t, testkit.NewProgram(t), threeRungs, nil)
			show := showOf(testkit.LadderPictures(t, clip).Repeat(long), testkit.Sound(t).Repeat(long))
			src := testkit.ByName(t, "rtmp").Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Join()
			var first []byte
			testkit.EventuallyWithin(t, sometime, "a poster", func() bool {
				status, header, body, err := testkit.Get(t.Context(), v.Client, v.Beside("poster.jpg"))
				if err != nil || status != http.StatusOK && status != http.StatusNotFound {
					t.Fatalf("status %d, %v: %.100q", status, err, body)
				}
				if first == nil && status == http.StatusOK {
					first = body
					if kind := header.Get("Content-Type"); kind != "image/jpeg" {
						t.Errorf("Content-Type is %q", kind)
					}
					if header.Get("Access-Control-Allow-Origin") != "*" || header.Get("Cache-Control") == "" || header.Get("ETag") == "" {
						t.Errorf("%v", header)
					}
				}
				return first != nil && status == http.StatusOK && !bytes.Equal(body, first)
			})
			picture, err := jpeg.Decode(bytes.NewReader(first))
			if err != nil {
				t.Fatal(err)
			}
			size := picture.Bounds().Size()
			want := 384.0 / 216
			if clip == "portrait" {
				want = 1 / want
			}
			if got := float64(size.X) / float64(size.Y); math.Abs(got/want-1) > 0.03 {
				t.Errorf("the poster is %v, want an aspect of %.3f", size, want)
			}
			if status, _, _, err := testkit.Get(t.Context(), v.Client, n.HTTP()+"/live/nobody/poster.jpg"); err != nil || status != http.StatusNotFound {
				t.Errorf("of nobody: status %d, %v", status, err)
			}
			stop()
			src.Leave()
		})
	}
}

// TestLadderChoice gives streams ladders by their names and by their publishers' keys.
func TestLadderChoice(t *testing.T) {
	t.Parallel()
	const choices = `
ladder:
  ffmpeg: %s
  encoders: [cpu]
  poster_interval: 0s
  max_cpu: 100
  threads: 1
  nice: 0
  ladders:
    - {name: small, rungs: [90p 80k]}
    - {name: middle, mode: quality, rungs: [144p 150k 15fps]}
    - {name: sound, rungs: [audio 48k]}
  streams:
    - {stream: plain, ladder: none}
    - {stream: show, ladder: middle}
    - {stream: "*", ladder: small}
`
	n := laddered(t, testkit.NewProgram(t), choices, func(c *config.Config) {
		c.Publish.Keys = []config.Key{{Stream: "*", Key: publishKey}, {Stream: "keyed", Key: "another-" + publishKey, Ladder: "sound"}}
		c.Studio.Tokens = []config.Token{{Stream: "*", Token: operatorToken}}
	})
	for _, c := range []struct{ name, key, ladder, rung string }{
		{"show", publishKey, "middle", "144p"},
		{"anything", publishKey, "small", "90p"},
		{"keyed", "another-" + publishKey, "sound", soundRung},
		{"plain", publishKey, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			show := showOf(testkit.LadderPictures(t, "30").Repeat(long), testkit.Sound(t).Repeat(long))
			show.Name, show.Key = c.name, c.key
			src := testkit.ByName(t, "rtmp").Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master(c.name))
			v.Patience = sometime
			v.Join()
			want := []string{"video", "audio"}
			if c.rung != "" {
				climbed(t, v, c.rung)
				want = append(want, c.rung)
				var d api.LadderDetail
				if status := ask(t, n.HTTP()+"/api/v1/streams/"+c.name+"/ladder", &d); status != http.StatusOK || d.Name != c.ladder || len(d.Rungs) != 1 || d.Rungs[0].Name != c.rung {
					t.Errorf("status %d: %+v", status, d)
				}
			} else {
				reached(v, "video", 3*time.Second)
			}
			master := v.Join()
			got := slices.Compact(slices.Sorted(slices.Values(testkit.Renditions(master))))
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("renditions %q, want %q:\n%s", got, want, master)
			}
			if c.rung == "144p" {
				if rate := testkit.Attribute(variantOf(master, c.rung), "FRAME-RATE"); !strings.HasPrefix(rate, "15.") && rate != "15" {
					t.Errorf("FRAME-RATE=%s", rate)
				}
			}
			stop()
			src.Leave()
		})
	}
}

var outputPipe = regexp.MustCompile(`pipe:(\d+)`)

// TestLadderDryRun runs what the program prints: each command takes a source and gives what it says.
func TestLadderDryRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := testkit.WriteFile(t, "ladder.yaml", fmt.Sprintf(threeRungs, "ffmpeg"))
	out, errs, err := testkit.Output(t, testkit.Build(t), "ladder", "show", "--dry-run", "--config", file, "--source", "h264 384x216 30fps aac")
	if err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d commands, want one for pictures and one for sound:\n%s%s", len(lines), out, errs)
	}
	sources := [][]string{
		{"-f", "lavfi", "-i", "testsrc2=size=384x216:rate=30", "-t", "3", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-pix_fmt", "yuv420p"},
		{"-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "3", "-c:a", "aac", "-ac", "2"},
	}
	for i, line := range lines {
		source := filepath.Join(dir, fmt.Sprint(i, ".nut"))
		if _, errs, err := testkit.Output(t, "ffmpeg", append(append([]string{"-hide_banner", "-nostdin", "-loglevel", "error"}, sources[i]...), "-f", "nut", source)...); err != nil {
			t.Fatalf("%v: %s", err, errs)
		}
		shell := line + " < " + source + " 3> " + filepath.Join(dir, fmt.Sprint(i, ".progress"))
		var outputs []string
		for _, m := range outputPipe.FindAllStringSubmatch(line, -1) {
			if m[1] == "0" || m[1] == "3" {
				continue
			}
			outputs = append(outputs, filepath.Join(dir, fmt.Sprint(i, "-", m[1], ".nut")))
			shell += " " + m[1] + "> " + outputs[len(outputs)-1]
		}
		if want := []int{4, 1}[i]; len(outputs) != want {
			t.Errorf("%d outputs, want %d: %s", len(outputs), want, line)
		}
		// Descriptors from 10 on are not every shell's; there are none here.
		cmd := exec.CommandContext(t.Context(), "sh", "-c", shell)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, said)
		}
		for _, output := range outputs {
			if info, err := os.Stat(output); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v", output, err)
				continue
			}
			// By a pipe, as the node reads it: these files have no index to seek by.
			decode := "ffmpeg -hide_banner -nostdin -loglevel error -xerror -f nut -i pipe:0 -f null - < " + output
			if _, errs, err := testkit.Output(t, "sh", "-c", decode); err != nil || errs != "" {
				t.Errorf("%s does not decode: %v: %s", output, err, errs)
			}
		}
	}
}
