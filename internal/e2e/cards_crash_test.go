package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// cardSettings adds to settings what cards need.
const cardSettings = settings + `
studio: {tokens: [{stream: show, token: ` + operatorToken + `}]}
`

// configured writes a configuration file with the ports. The program's data are in the folder "data" beside it.
func configured(t *testing.T, file, rtmp, http string) {
	t.Helper()
	testkit.Overwrite(t, file, fmt.Sprintf(cardSettings, rtmp, "", http, "10s", publishKey))
}

// slots is the state of the slots as the API has it.
type slots struct {
	Epoch, Seq int64
	Slots      []struct {
		Slot, Card string
		Rev        int64
		Since      time.Time
	}
}

// slots asks for the state.
func (h *host) slots() (s slots) {
	h.t.Helper()
	a, err := h.ask(http.MethodGet, "/slots", nil)
	if err == nil {
		err = json.Unmarshal(a.body, &s)
	}
	if err != nil || a.status != http.StatusOK {
		h.t.Fatalf("slots: status %d, %v: %s", a.status, err, a.body)
	}
	return s
}

// cards is the list as it is, in one text.
func (h *host) cards() string {
	h.t.Helper()
	a, err := h.ask(http.MethodGet, "/cards", nil)
	if err != nil || a.status != http.StatusOK {
		h.t.Fatalf("cards: status %d, %v: %s", a.status, err, a.body)
	}
	return string(a.body)
}

func granted(a answer, err error) (r result, ok bool) {
	return r, err == nil && a.status/100 == 2 && json.Unmarshal(a.body, &r) == nil
}

// TestCardsAfterACrash kills the program while commands come in and starts it again in the same folder: what was
// acknowledged is there, and viewers see the same state again, in a higher epoch.
func TestCardsAfterACrash(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pushcart.yaml")
	configured(t, file, "0", "0")
	s := testkit.Serve(t, file)
	h := newHost(t, "http://"+s.HTTP)
	h.products(3)
	b := broadcasting(t, s.RTMP, testkit.Pictures(t), testkit.Sound(t))
	b.until(50)
	h.show("main", "c0", time.Time{})
	h.show("side", "c1", time.Time{})
	h.do(http.MethodPatch, "/cards/c0", map[string]any{"description": "second"})
	b.until(75)
	before := h.slots()
	v := testkit.NewViewer(t, masterOf(s))
	v.Join()
	old := readCards(t, v, "video", v.Playlist("video"))
	jwks := v.Fetch("http://"+s.HTTP+"/.well-known/jwks.json", http.StatusOK)
	old.signed(t, jwks)
	document := v.Fetch("/live/show/cards/c0/2.json", http.StatusOK)
	// The crash comes while a command is under way, which may be on disk by then or not. Its card is not shown.
	under := make(chan bool)
	go func() {
		a, err := h.ask(http.MethodPatch, "/cards/c2", map[string]any{"description": "while it dies"})
		_, ok := granted(a, err)
		under <- ok
	}()
	s.Kill()
	acknowledged := <-under

	configured(t, file, port(s.RTMP), port(s.HTTP))
	again := testkit.Serve(t, file)
	if after := h.slots(); after.Epoch <= before.Epoch || !reflect.DeepEqual(after.Slots, before.Slots) || len(after.Slots) != 2 {
		t.Errorf("before the crash %+v, after it %+v", before, after)
	}
	if acknowledged && !strings.Contains(h.cards(), "while it dies") {
		t.Error("a command was acknowledged, and is gone")
	}
	if got := v.Fetch("/live/show/cards/c0/2.json", http.StatusOK); string(got) != string(document) {
		t.Errorf("the card's document is now %s, was %s", got, document)
	}
	if got := v.Fetch("http://"+again.HTTP+"/.well-known/jwks.json", http.StatusOK); string(got) != string(jwks) {
		t.Errorf("the keys are now %s, were %s", got, jwks)
	}
	c := broadcasting(t, again.RTMP, testkit.Pictures(t), testkit.Sound(t))
	c.until(75)
	v.Join()
	m := readCards(t, v, "video", reached(v, "video", 2500*time.Millisecond))
	m.signed(t, jwks)
	judgeMessages(t, m)
	last := old.events[len(old.events)-1].state
	// From the first picture on, or the first part behind the one during which the journal was read.
	first := m.events[0]
	if got := first.state; got.shows() != "main:c0/2 side:c1/1" || got.shows() != last.shows() || got.Epoch <= last.Epoch ||
		!reflect.DeepEqual(got.Slots, last.Slots) {
		t.Errorf("before the crash the media had %+v, after it %+v", last, got)
	}
	at := first.time - m.pictures[0].pts
	t.Logf("the state stands from %d ticks of 1/%d s behind the first picture", at, m.timescale)
	if at > 2*m.timescale {
		t.Errorf("viewers do without the state for %d ticks", at)
	}
	for _, e := range old.events {
		for _, f := range m.events {
			if e.id == f.id {
				t.Fatalf("id %d stands for two messages", e.id)
			}
		}
	}
	b.p.Drop()
	c.p.Leave()
}

// onSmallDisk starts the program with a folder for its data that takes little: a disk of its own where the kernel lets us
// mount one, else a limit on the size of files. kind tells in words which it is.
func onSmallDisk(t *testing.T, dir, config string) (s *testkit.Process, kind string) {
	t.Helper()
	program := testkit.Build(t)
	env := append([]string{"PUSHCART_DATA_DIRECTORY=" + dir}, testkit.Doors...)
	const mount = `mount -t tmpfs -o size=256k,mode=700 tmpfs "$0" && exec "$@"`
	for _, flags := range [][]string{{"-m"}, {"-U", "-r", "-m"}} {
		args := append(flags, "sh", "-c", mount, dir)
		if exec.Command("unshare", append(args, "true")...).Run() == nil {
			return testkit.Run(t, env, "unshare", append(args, program, "serve", "--config", config)...), "a disk of 256 KB"
		}
	}
	// 512 blocks of 512 bytes in sh, of 1,024 in bash.
	return testkit.Run(t, env, "sh", "-c", `ulimit -f 512 && exec "$@"`, "sh", program, "serve", "--config", config), "files of 256 KB at most"
}

// TestCardsOnAFullDisk fills the disk with cards: they are refused with 507, nothing of them is half there, and the show
// goes on.
func TestCardsOnAFullDisk(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pushcart.yaml")
	configured(t, file, "0", "0")
	dir := filepath.Join(filepath.Dir(file), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	process, kind := onSmallDisk(t, dir, file)
	s := testkit.AwaitServer(t, process)
	h := newHost(t, "http://"+s.HTTP)
	h.products(2)
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	p := testkit.Publish(t, s.RTMP, "show?key="+publishKey)
	stop := p.Live(testkit.Script{Video: video, Audio: audio, Speed: 1})
	v := testkit.NewViewer(t, masterOf(s))
	v.Join()
	h.show("main", "c0", time.Time{})

	// Each of them is new content of 2 KB.
	long := strings.Repeat("content ", 60) + "of revision "
	var refused answer
	commands := 0
	for refused.status == 0 {
		if commands++; commands > 2000 {
			t.Fatal("the disk does not get full")
		}
		card := product(fmt.Sprint("big", commands%100), "1.00")
		card["description"] = map[string]string{"en": long + decimal(int64(commands)), "de": long + "0", "fr": long + "0", "es": long + "0"}
		a, err := h.ask(http.MethodPut, "/cards/"+card["id"].(string), card)
		if err != nil {
			t.Fatal(err)
		}
		if a.status/100 != 2 {
			refused = a
		}
	}
	var problem struct{ Title, Detail string }
	if refused.status != http.StatusInsufficientStorage || json.Unmarshal(refused.body, &problem) != nil || problem.Detail == "" ||
		refused.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, %v: %s", refused.status, refused.header, refused.body)
	}
	t.Logf("on %s, command %d was refused: %s", kind, commands, problem.Detail)
	if strings.Contains(h.cards(), long+decimal(int64(commands))) {
		t.Error("the card that was refused is there")
	}
	// The media go on, with what is shown.
	from := v.Playlist("video")
	v.Until("video", "two more segments", func(l *testkit.Playlist) bool { return l.Last().MSN >= from.Last().MSN+2 })
	kept, state := h.cards(), h.slots()

	// The disk full as it is, the program dies and comes back: it has all that it had acknowledged. A disk of its own goes
	// with the program, so what is on it is copied.
	stop()
	rescued := filepath.Join(t.TempDir(), "data")
	process.Signal(syscall.SIGSTOP)
	// With the socket for upgrades, which nobody listens on any more: os.CopyFS takes none.
	if out, err := exec.Command("cp", "-a", fmt.Sprintf("/proc/%d/root%s", process.PID(), dir), rescued).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	process.Kill()
	configured(t, file, port(s.RTMP), port(s.HTTP))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(rescued, dir); err != nil {
		t.Fatal(err)
	}
	again := testkit.Serve(t, file)
	if now := h.cards(); !sameCards(t, now, kept) {
		t.Errorf("the list is now\n%.2000s\nwas\n%.2000s", now, kept)
	}
	if now := h.slots(); !reflect.DeepEqual(now.Slots, state.Slots) {
		t.Errorf("slots are now %+v, were %+v", now, state)
	}
	// With room again, it goes on.
	h.do(http.MethodPut, "/cards/more", product("more", "2.00"))
	again.Signal(syscall.SIGTERM)
	if code := again.Wait(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, again.Log)
	}
}

// sameCards compares lists but for the count of changes, which a restart may begin anew.
func sameCards(t *testing.T, a, b string) bool {
	t.Helper()
	var lists [2]struct{ Cards any }
	for i, text := range []string{a, b} {
		if err := json.Unmarshal([]byte(text), &lists[i]); err != nil {
			t.Fatalf("%v: %.300s", err, text)
		}
	}
	return reflect.DeepEqual(lists[0], lists[1])
}
