package child

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// x264 are the arguments with which ffmpeg makes a small rendition of the clip on each of the descriptors.
func x264(outputs ...string) []string {
	args := strings.Fields("-hide_banner -nostdin -loglevel warning -nostats -progress pipe:3 -protocol_whitelist pipe -copyts -fpsprobesize 0 -probesize 32 -analyzeduration 0 -f nut -i pipe:0")
	for _, fd := range outputs {
		args = append(args, strings.Fields("-map 0:v -c:v libx264 -preset ultrafast -tune zerolatency -s 320x180 -flush_packets 1 -f nut pipe:"+fd)...)
	}
	return args
}

// TestFFmpeg: two renditions, with what there is to know about the child.
func TestFFmpeg(t *testing.T) {
	t.Parallel()
	c := startSpec(t, Spec{Program: "ffmpeg", Args: x264("4", "5"), Outputs: 2})
	if _, err := c.Write(clip); err != nil {
		t.Fatal(err)
	}
	var results [2]bytes.Buffer
	var wg sync.WaitGroup
	for i, out := range c.Outputs() {
		wg.Go(func() {
			if _, err := io.Copy(&results[i], out); err != nil {
				t.Error(err)
			}
		})
	}
	if err := c.Stop(time.Hour); err != nil {
		t.Errorf("%v\n%q", err, c.Stderr())
	}
	wg.Wait()
	for i := range results {
		if !bytes.HasPrefix(results[i].Bytes(), []byte("nut/multimedia container\x00")) || results[i].Len() < 1000 {
			t.Errorf("output %d: %d bytes", i, results[i].Len())
		}
	}
	if p := c.Progress(); p.Frames != 12 || !p.Ended || p.Reports == 0 {
		t.Errorf("12 frames went in: %+v", p)
	}
	if c.CPU() <= 0 || len(c.Stderr()) > 0 {
		t.Errorf("it used %v and says %q", c.CPU(), c.Stderr())
	}
}

// TestFFmpegNice: all threads that ffmpeg has by then get the niceness.
func TestFFmpegNice(t *testing.T) {
	t.Parallel()
	c := startSpec(t, Spec{Program: "ffmpeg", Args: x264("4"), Outputs: 1})
	if _, err := c.Write(clip); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(c.Outputs()[0], make([]byte, 1))
	if err := lowerPriority(c.process, 4); err != nil {
		t.Fatal(err)
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", c.Pid()))
	if err != nil || len(threads) < 2 {
		t.Fatalf("%d threads, %v: this shows nothing", len(threads), err)
	}
	for _, thread := range threads {
		var tid int
		fmt.Sscan(thread.Name(), &tid)
		if got, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil && 20-got != min(20-raw+4, 19) {
			t.Errorf("thread %d has niceness %d, ours is %d", tid, 20-got, 20-raw)
		}
	}
}

// TestFFmpegGarbage: what ffmpeg cannot read it complains about, and that is told.
func TestFFmpegGarbage(t *testing.T) {
	t.Parallel()
	c := startSpec(t, Spec{Program: "ffmpeg", Args: x264("4"), Outputs: 1})
	c.Write(bytes.Repeat([]byte("garbage"), 20000))
	c.CloseStdin()
	f := failure(t, c.Wait())
	if f.Code == 0 || f.Signal != 0 || !strings.Contains(f.Last, "pipe:0") {
		t.Errorf("%+v\n%q", f, c.Stderr())
	}
}

// TestFFmpegStopped: an ffmpeg that the system has stopped is killed, and what it had written stays readable.
func TestFFmpegStopped(t *testing.T) {
	t.Parallel()
	c := startSpec(t, Spec{Program: "ffmpeg", Args: x264("4"), Outputs: 1})
	if _, err := c.Write(clip); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 24)
	if _, err := io.ReadFull(c.Outputs()[0], first); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(c.Pid(), syscall.SIGSTOP)
	if f := failure(t, c.Stop(time.Millisecond)); !f.Killed {
		t.Errorf("%+v", f)
	}
	if _, err := io.ReadAll(c.Outputs()[0]); err != nil {
		t.Error(err)
	}
}
