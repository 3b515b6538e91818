package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/overlay"
)

// shop is a running node and its operator's shell.
type shop struct {
	t   *testing.T
	env []string
}

// openShop starts a node with a token of its own making.
func openShop(t *testing.T) *shop {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	s := serve(t, []string{"PUSHCART_DATA_DIRECTORY=" + dir, "PUSHCART_CARDS_HOSTS=shop.example.com"})
	up := s.until("pushcart is up")
	t.Cleanup(func() { s.end(os.Interrupt) })
	return &shop{t, []string{fmt.Sprint("PUSHCART_URL=http://", up["http"]), "PUSHCART_DATA_DIRECTORY=" + dir, "PUSHCART_STREAM=show", "TZ=UTC"}}
}

// says runs a card command with something on standard input, which has to succeed and print what the pattern describes.
func (s *shop) says(pattern, stdin string, args ...string) string {
	s.t.Helper()
	stdout, stderr, code := feed(s.t, stdin, s.env, append([]string{"card"}, args...)...)
	if code != 0 || stderr != "" || !regexp.MustCompile(`^(?s:`+pattern+`)$`).MatchString(stdout) {
		s.t.Errorf("card %q:\n%s%s(%d)\nwant\n%s", args, stdout, stderr, code, pattern)
	}
	return stdout
}

// fails runs a card command that has to fail with a sentence.
func (s *shop) fails(code int, sentence, stdin string, args ...string) {
	s.t.Helper()
	stdout, stderr, got := feed(s.t, stdin, s.env, append([]string{"card"}, args...)...)
	if got != code || stdout != "" || !strings.HasPrefix(stderr, "pushcart: "+sentence) {
		s.t.Errorf("card %q: %q, %q (%d)\nwant %q (%d)", args, stdout, stderr, got, sentence, code)
	}
}

const (
	lamp = `{"id":"lamp","name":{"de":"Schreibtischlampe","en":"Desk lamp"},"offers":[{"price":"19.99","priceCurrency":"EUR"}]}`
	mug  = `{"id":"mug","name":"Mug"}`
	when = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`
)

// TestCard goes through a show's evening at the shell.
func TestCard(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	file := write(t, "mug.json", mug)
	s.says("CARD  REV  NAME  PRICE  SHOWN IN\n", "", "list")
	s.says("card lamp is new: revision 1\n", lamp, "put", "-")
	s.says("card mug is new: revision 1\n", "", "put", "--new", file)
	s.says("card mug: revision 2\n", "", "patch", "mug", `{"offers":[{"price":"8.50","priceCurrency":"EUR"}]}`)
	s.says("card mug: revision 3\n", `{"brand":"Clay"}`, "patch", "mug", "-", "--if-rev", "2")
	s.says("main shows lamp \\(revision 1\\)\n", "", "show", "lamp")
	s.says("offer shows mug \\(revision 3\\)\n", "", "show", "mug", "--slot", "offer")
	s.says("mug will be shown in main at "+when+" \\(scheduled as s1\\)\n", "", "show", "mug", "--at", "+1h")
	s.says("every slot will be emptied at "+when+" \\(scheduled as s2\\)\n", "", "hide", "--at", time.Now().Add(2*time.Hour).Format(time.RFC3339))
	s.says("CARD  REV  NAME       PRICE      SHOWN IN\nlamp  1    Desk lamp  19.99 EUR  main\nmug   3    Mug        8.50 EUR   offer\n", "", "list")
	s.says("SLOT   CARD  REV  SINCE\nmain   lamp  1    "+when+"\noffer  mug   3    "+when+"\nSCHEDULED  WHAT              AT\ns1         show mug in main  "+when+"\ns2         hide all          "+when+"\n", "", "slots")
	s.says("s2 is cancelled\n", "", "cancel", "s2")
	s.says("s1 is cancelled\n", "", "cancel", "s1")
	s.says("offer is empty\n", "", "hide", "offer")
	s.says("every slot is empty\n", "", "hide")
	s.says("FROM +TO +SLOT +CARD +REV +BY\n"+when+"  "+when+"  offer  mug   3    api\n"+when+"  "+when+"  main   lamp  1    api\n", "", "timeline")
	s.says("the list is sorted\n", "", "order", "mug", "lamp")
	s.says(`\{\n  "id": "lamp",.*"price": "19.99".*\n\}\n`, "", "get", "lamp")
	exported := s.says(`\[\n  \{\n    "id": "mug",.*"id": "lamp",.*\]\n`, "", "export")
	s.says("card mug is deleted\n", "", "delete", "mug")
	s.says("cards on the list: 2\n", exported, "import", "-")

	raw := s.says(`\{.*\}\n`, "", "list", "--json")
	var list struct{ Cards []struct{ ID string } }
	if err := json.Unmarshal([]byte(raw), &list); err != nil || len(list.Cards) != 2 || list.Cards[0].ID != "mug" {
		t.Errorf("%v: %s", err, raw)
	}
	s.says("cards on the list: 2\n", raw, "import", "-")
	s.says(`\{.*"seq": \d+.*\}\n`, "", "show", "lamp", "--json")
}

// TestCardFailures: each says what is wrong and with which field, and ends with the right code.
func TestCardFailures(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	s.says("card lamp is new: revision 1\n", lamp, "put", "-")
	s.fails(1, `name: The name has markup in it`, `{"id":"x","name":"<b>x</b>"}`, "put", "-")
	s.fails(1, `offers[0].price: The price "1e999"`, `{"id":"x","name":"x","offers":[{"price":"1e999","priceCurrency":"EUR"}]}`, "put", "-")
	s.fails(1, "If-None-Match: ", lamp, "put", "--new", "-")
	s.fails(1, "If-Match: ", "", "delete", "lamp", "--if-rev", "7")
	s.fails(1, "id: There is no card", "", "get", "rug")
	s.fails(1, "card: ", "", "show", "rug")
	s.fails(1, "slot: ", "", "show", "lamp", "--slot", "Main")
	s.fails(1, "schedule: ", "", "cancel", "s9")
	s.fails(1, "the card in - is not JSON", "lamp", "put", "-")
	s.fails(1, "id: the card in - has none", "{}", "put", "-")
	s.fails(1, "read the card: open /nowhere.json", "", "put", "/nowhere.json")
	s.fails(1, "read the list: open /nowhere.json", "", "import", "/nowhere.json")
	s.fails(1, `--at: "tomorrow" is neither a time`, "", "show", "lamp", "--at", "tomorrow")
	s.fails(1, "The body is not JSON", "", "patch", "lamp", "{")
	s.fails(1, "Authorization: This token", "", "list", "--token", "a-wrong-token")
	s.fails(1, "no operator token: open /nowhere/operator.token", "", "list", "--data", "/nowhere")
	s.fails(1, `--url: "localhost:8080" is not an address`, "", "list", "--url", "localhost:8080")
	s.fails(2, `expected "<id>"`, "", "show")
	s.fails(2, "unknown flag --fast", "", "list", "--fast")
	s.fails(2, "", "", "sell")
	s.says("CARD  REV .*", "", "list")
	s.env = append(s.env, "PUSHCART_STREAM=")
	s.fails(1, "no stream is live: say which stream", "", "list")
}

// TestCardFindsTheToken: the flag comes before the environment, and that before the node's own.
func TestCardFindsTheToken(t *testing.T) {
	t.Parallel()
	sent := make(chan string, 1)
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent <- r.Header.Get("Authorization") + " " + r.URL.Path
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"timeline":[]}`)
	}))
	defer node.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "operator.token"), "of-the-folder\n")
	base := []string{"PUSHCART_URL=" + node.URL + "/"}
	for _, tt := range []struct {
		env, args []string
		want      string
	}{
		{[]string{"PUSHCART_DATA_DIRECTORY=" + dir}, []string{"--stream", "show"}, "Bearer of-the-folder /api/v1/streams/show/timeline"},
		{[]string{"PUSHCART_DATA_DIRECTORY=/nowhere"}, []string{"-s", "show", "--data", dir}, "Bearer of-the-folder /api/v1/streams/show/timeline"},
		{[]string{"PUSHCART_DATA_DIRECTORY=" + dir, "PUSHCART_TOKEN=of-the-shell", "PUSHCART_STREAM=other"}, nil, "Bearer of-the-shell /api/v1/streams/other/timeline"},
		{[]string{"PUSHCART_TOKEN=of-the-shell", "PUSHCART_STREAM=other"}, []string{"--token", "of-the-flag", "--stream", "show"}, "Bearer of-the-flag /api/v1/streams/show/timeline"},
	} {
		_, stderr, code := call(t, append(base, tt.env...), append([]string{"card", "timeline"}, tt.args...)...)
		if code != 0 {
			t.Errorf("%v %v: %s", tt.env, tt.args, stderr)
			continue
		}
		if got := <-sent; got != tt.want {
			t.Errorf("%v %v: it sends %q, want %q", tt.env, tt.args, got, tt.want)
		}
	}
}

// TestCardFindsTheStream: the only one that is there is meant, of several one has to be named.
func TestCardFindsTheStream(t *testing.T) {
	t.Parallel()
	var names atomic.Value
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/streams" {
			if r.Header.Get("Authorization") != "Bearer a-long-token" {
				t.Error("without the token, streams that are played by signed addresses only are not named")
			}
			fmt.Fprintf(w, `{"streams":[%s]}`, names.Load())
			return
		}
		fmt.Fprintf(w, `{"epoch":1,"seq":1,"slots":[{"slot":%q}]}`, r.URL.Path)
	}))
	defer node.Close()
	env := []string{"PUSHCART_URL=" + node.URL, "PUSHCART_TOKEN=a-long-token"}
	names.Store(`{"name":"evening"}`)
	if stdout, stderr, code := call(t, env, "card", "slots"); code != 0 || !strings.Contains(stdout, "/api/v1/streams/evening/slots") {
		t.Errorf("one stream: %q, %q, %d", stdout, stderr, code)
	}
	names.Store(`{"name":"evening"},{"name":"morning"}`)
	if _, stderr, code := call(t, env, "card", "slots"); code != 1 ||
		stderr != "pushcart: several streams are live (evening, morning): say which stream is meant with --stream NAME\n" {
		t.Errorf("two streams: %q, %d", stderr, code)
	}
}

// TestCardTriesAgain: a broken connection is tried once more, under the same key; an answer is an answer.
func TestCardTriesAgain(t *testing.T) {
	t.Parallel()
	type request struct{ method, path, key, body string }
	var mu sync.Mutex // guards what follows
	var got []request
	broken, status := 0, http.StatusOK
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body := new(strings.Builder)
		bufio.NewReader(r.Body).WriteTo(body)
		got = append(got, request{r.Method, r.URL.RequestURI(), r.Header.Get("Idempotency-Key"), body.String()})
		switch {
		case len(got) <= broken:
			panic(http.ErrAbortHandler)
		case status == http.StatusFound:
			http.Redirect(w, r, "http://elsewhere.example/", status)
		case status != http.StatusOK:
			w.WriteHeader(status)
		default:
			fmt.Fprint(w, `{"epoch":1,"seq":2,"card":"lamp","rev":1,"slot":"main"}`)
		}
	}))
	defer node.Close()
	env := []string{"PUSHCART_URL=" + node.URL, "PUSHCART_TOKEN=a-long-token", "PUSHCART_STREAM=show"}
	run := func(breaks, answer int) (stderr string, code int, requests []request) {
		mu.Lock()
		broken, status, got = breaks, answer, nil
		mu.Unlock()
		_, stderr, code = call(t, env, "card", "show", "lamp")
		mu.Lock()
		defer mu.Unlock()
		return stderr, code, got
	}
	keys := map[string]bool{}
	for breaks, want := range []int{1, 2} {
		stderr, code, requests := run(breaks, http.StatusOK)
		if code != 0 || len(requests) != want {
			t.Fatalf("%d broken connections: %q, %d, %v", breaks, stderr, code, requests)
		}
		first := requests[0]
		if first.key == "" || len(first.key) > 64 || keys[first.key] || first.body != `{"card":"lamp"}` || first.method != "PUT" {
			t.Errorf("it sends %+v", first)
		}
		keys[first.key] = true
		for _, r := range requests {
			if r != first {
				t.Errorf("once more it sends %+v, before it was %+v", r, first)
			}
		}
	}
	if stderr, code, requests := run(5, http.StatusOK); code != 1 || len(requests) != 2 || !strings.Contains(stderr, "EOF") {
		t.Errorf("broken for good: %q, %d, %d requests", stderr, code, len(requests))
	}
	for _, answer := range []int{404, 409, 503, http.StatusFound} {
		stderr, code, requests := run(0, answer)
		if code != 1 || len(requests) != 1 || !strings.Contains(stderr, fmt.Sprint("answers ", answer)) {
			t.Errorf("%d: %q, %d, %d requests", answer, stderr, code, len(requests))
		}
	}
}

// TestCardWatch follows a show.
func TestCardWatch(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	s.says(".*", lamp, "put", "-")
	lines, end := s.watch()
	line := func(want string) {
		t.Helper()
		if !lines.Scan() || !regexp.MustCompile(`^\d\d:\d\d:\d\d  `+want+`$`).MatchString(lines.Text()) {
			t.Errorf("it says %q, want %q", lines.Text(), want)
		}
	}
	line("cards on the list of show: 1")
	s.says(".*", "", "show", "lamp")
	line(`main shows lamp \(revision 1\)`)
	s.says(".*", "", "patch", "lamp", `{"brand":"Lumen"}`)
	line(`card lamp: revision 2; main shows lamp \(revision 2\)`)
	s.says(".*", "", "hide", "main", "--at", "+1h")
	line(`scheduled as s1: hide main at ` + when)
	end()
	s.fails(1, "Authorization: ", "", "watch", "--token", "a-wrong-token")
	lines, end = s.watch("--json")
	var v overlay.View
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &v) != nil || v.Stream != "show" || len(v.Scheduled) != 1 {
		t.Errorf("as JSON: %q", lines.Text())
	}
	end()
}

// watch runs card watch and returns its lines and how to end it.
func (s *shop) watch(args ...string) (lines *bufio.Scanner, end func()) {
	s.t.Helper()
	c := exec.CommandContext(s.t.Context(), binary, append([]string{"card", "watch"}, args...)...)
	c.Env = s.env
	pipe, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return bufio.NewScanner(pipe), func() {
		s.t.Helper()
		if err := c.Process.Signal(os.Interrupt); err != nil {
			s.t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			s.t.Errorf("Ctrl-C ends it with %v", err)
		}
	}
}

// TestChanges words what is new.
func TestChanges(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 20, 15, 0, 0, time.UTC)
	was := &overlay.View{
		Stream: "show", List: 1, Cards: []overlay.CardView{{ID: "lamp", Rev: 1}, {ID: "mug", Rev: 1}},
		Slots: []overlay.SlotView{{Slot: "main", Card: "lamp", Rev: 1}, {Slot: "offer", Card: "mug", Rev: 1}}, InBand: true,
		Scheduled: []overlay.ScheduledView{{ID: "s1", Op: overlay.OpShow, Slot: "main", Card: "mug", At: at}},
	}
	for name, tt := range map[string]struct {
		change func(v *overlay.View)
		want   []string
	}{
		"nothing":   {func(*overlay.View) {}, nil},
		"another":   {func(v *overlay.View) { v.Slots = []overlay.SlotView{{Slot: "main", Card: "mug", Rev: 1}, v.Slots[1]} }, []string{"main shows mug (revision 1)"}},
		"hidden":    {func(v *overlay.View) { v.Slots = v.Slots[:1] }, []string{"offer is empty"}},
		"cancelled": {func(v *overlay.View) { v.Scheduled = nil }, []string{"s1 is not scheduled any more"}},
		"planned": {func(v *overlay.View) {
			v.Scheduled = append(v.Scheduled[:1:1], overlay.ScheduledView{ID: "s2", Op: overlay.OpHide, At: at})
		}, []string{"scheduled as s2: hide all at " + clock(at)}},
		"sorted": {func(v *overlay.View) { v.List++; v.Cards = []overlay.CardView{v.Cards[1], v.Cards[0]} }, []string{"the list is sorted"}},
		"edited": {func(v *overlay.View) {
			v.List++
			v.Cards = []overlay.CardView{{ID: "lamp", Rev: 2}, {ID: "rug", Rev: 1}}
		}, []string{"card lamp: revision 2", "card rug is new", "card mug is deleted"}},
		"deaf": {func(v *overlay.View) { v.InBand = false }, []string{"cards that come with the media are refused"}},
		"refused": {func(v *overlay.View) {
			v.InBandRefusal = &overlay.InBandRefusal{Source: "sei", Message: "Why.", Count: 1}
		}, []string{"refused from the media (sei): Why."}},
	} {
		is := *was
		tt.change(&is)
		if got := changes(was, &is); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if got := changes(nil, was); len(got) != 4 || got[0] != "cards on the list of show: 2" {
		t.Errorf("the first one: %q", got)
	}
}

func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 20, 15, 0, 500_000_000, time.UTC)
	for at, want := range map[string]string{
		"+30s": "2026-03-01T20:15:30.5Z", "+1m30s": "2026-03-01T20:16:30.5Z", "2026-03-01T21:15:00+01:00": "2026-03-01T20:15:00Z",
	} {
		if got, err := (moment{&at}).of(now); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", at, got, err, want)
		}
	}
	if got, err := (moment{}).of(now); got != "" || err != nil {
		t.Errorf("now: %q, %v", got, err)
	}
	// An empty text is a variable that is not set, not "now".
	for _, at := range []string{"", "30s", "+30", "+-30s", "now", "20:15", "2026-03-01", "+"} {
		if got, err := (moment{&at}).of(now); err == nil {
			t.Errorf("%q: %q", at, got)
		}
	}
}
