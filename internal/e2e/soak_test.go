package e2e

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

var (
	soakFor  = flag.Duration("soak", 0, "how long TestSoak goes on; 0 is 8 s, and 10 minutes with -long")
	soakSeed = flag.Uint64("soak-seed", 0, "what TestSoak draws its lots with; 0 is another one each time")
)

const (
	soakShort, soakMinutes = 8 * time.Second, 10 * time.Minute
	// soakTrendFrom is how long a run has to be for its second half to tell a trend from noise.
	soakTrendFrom = 4 * time.Minute
	// soakWindow is how long a stream waits for its publisher.
	soakWindow = 3 * time.Second
)

// soakSettings is the node's configuration file: ports of RTMP and HTTP, its certificate's files, where webhooks go to, the camera's
// port, the longest segment, and how far back viewers can seek.
const soakSettings = `
log: {level: info}
rtmp: {address: "127.0.0.1:%s", tls_address: "127.0.0.1:0", idle_timeout: 5s, max_connections_per_address: 500}
rtsp: {tls_address: "127.0.0.1:0", idle_timeout: 5s, max_connections_per_address: 500}
srt: {idle_timeout: 5s, max_connections_per_address: 500}
whip: {idle_timeout: 5s, max_sessions_per_address: 500}
tls: {certificate: "%s", key: "%s"}
http: {address: "127.0.0.1:%s", max_waiting_per_address: 5000}
admin: {address: "127.0.0.1:0"}
publish:
  reconnect_window: 3s
  keys: [{stream: "*", key: "` + publishKey + `"}]
studio: {tokens: [{stream: "*", token: "` + operatorToken + `"}]}
webhooks: {queue: 1MiB, targets: [{url: "%s", secret: "` + soakSecret + `"}]}
pull: {sources: [{stream: camera, url: "srt://127.0.0.1:%d"}]}
drain: {timeout: 0s}
hls: {segment_duration: 1s, max_segment_duration: %s, part_duration: 500ms, dvr: %s}
ladder:
  encoders: [cpu]
  convert: false
  poster_interval: 0s
  max_cpu: 100
  threads: 1
  ladders: [{name: two, rungs: [144p 120k, 90p 60k]}]
  streams: [{stream: ladder0, ladder: two}, {stream: ladder1, ladder: two}]
`

// soakTally counts what happened, by what it was.
type soakTally struct {
	mu  sync.Mutex // guards all
	all map[string]int
}

func (w *soakTally) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[what]++
}

func (w *soakTally) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, what := range slices.Sorted(maps.Keys(w.all)) {
		all = append(all, fmt.Sprintf("%s %d", what, w.all[what]))
	}
	return strings.Join(all, ", ")
}

// soak is a node for a long time in real life.
type soak struct {
	t      *testing.T
	seed   uint64
	length time.Duration
	file   string
	cert   *testkit.Certificate
	hooks  *receiver
	admin  *http.Client
	s      *testkit.Server
	to     testkit.Target
	disk   struct {
		*soakDisk
		tight atomic.Bool // whether it is full, or was a moment ago
	}
	cameraPort int

	// commanding ends for producers of cards, then ctx for visitors and viewers, then air for steady publishers.
	commanding, ctx, air context.Context
	all                  sync.WaitGroup

	msns    soakForward
	samples samples
	ways    soakTally

	publishers, requests, leavers, checks, violations, kills, reloads, fills atomic.Int64
	keys, commands, replays, retries, noRoom, shows, lost                    atomic.Int64

	mu     sync.Mutex // guards faults
	faults []string
}

// on tells whether visitors still come.
func (k *soak) on() bool { return k.ctx.Err() == nil }

// wait is for a while, or until visitors come no more.
func (k *soak) wait(d time.Duration) {
	select {
	case <-k.ctx.Done():
	case <-time.After(d):
	}
}

// pause is for a while, or until the test ends.
func (k *soak) pause(d time.Duration) {
	select {
	case <-k.t.Context().Done():
	case <-time.After(d):
	}
}

// scaled is one of two times, for a short run and for a long one.
func (k *soak) scaled(short, long time.Duration) time.Duration {
	if k.length < soakTrendFrom {
		return short
	}
	return long
}

// dvr is how far back viewers can seek. Streams stay for as long, and four of the longest segments, when they are over.
func (k *soak) dvr() time.Duration { return k.scaled(6*time.Second, 12*time.Second) }

// fault notes what must not be. The run goes on, since one thing often explains another; the first ones are told.
func (k *soak) fault(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.faults) < 40 {
		k.faults = append(k.faults, time.Since(k.samples.begin).Round(time.Millisecond).String()+" "+fmt.Sprintf(format, args...))
	}
}

// write writes the configuration file.
func (k *soak) write(rtmp, http, dvr string) {
	testkit.Overwrite(k.t, k.file, fmt.Sprintf(soakSettings, rtmp, k.cert.CertFile, k.cert.KeyFile, http, k.hooks.URL, k.cameraPort, k.scaled(time.Second, 2*time.Second), dvr))
}

// TestSoak runs a node through everything at once: publishers of all protocols who come, go, drop, return, take over and are refused;
// ladders whose ffmpeg is killed; a camera that goes away; viewers, strict ones and such as leave in mid-response; cards; webhooks to a
// receiver that fails; reloads with mistakes; a disk that fills. No playlist breaks a rule, no sequence number goes back, no card is
// lost or shown twice, and when all have left nothing stays behind. In the end the node is killed, and has all cards again.
func TestSoak(t *testing.T) {
	t.Parallel()
	k := &soak{t: t, length: *soakFor, seed: *soakSeed, admin: &http.Client{Timeout: 20 * time.Second}}
	if k.length == 0 {
		if k.length = soakShort; *longRegions {
			k.length = soakMinutes
		}
	}
	if k.seed == 0 {
		k.seed = rand.Uint64()
	}
	t.Logf("soak of %v with -soak-seed=%d", k.length, k.seed)
	k.ways.all, k.msns.highest = map[string]int{}, map[string]int64{}
	k.cert, k.hooks, k.cameraPort = testkit.NewCertificate(t, "soak"), k.newReceiver(), freeUDP(t)
	k.disk.soakDisk = newSoakDisk(t)
	k.file = filepath.Join(t.TempDir(), "pushcart.yaml")
	clip := soakClip(t)
	visitors := k.visitors() // clips are made before time counts
	k.write("0", "0", k.dvr().String())
	k.s = k.disk.run(k.file)
	k.to = k.s.Target(t)
	tried(t, "http://"+k.s.HTTP)
	k.samples.begin = time.Now()
	idle, err := k.take()
	if err != nil {
		t.Fatal(err)
	}

	air, landAll := context.WithCancel(context.Background())
	ctx, leaveAll := context.WithCancel(context.Background())
	commanding, silence := context.WithCancel(context.Background())
	var producing, reading sync.WaitGroup
	defer func() { producing.Wait(); k.all.Wait(); reading.Wait() }() // behind those below, where the test ends early
	defer landAll()
	defer leaveAll()
	defer silence()
	k.air, k.ctx, k.commanding = air, ctx, commanding

	always := []string{"steady", "ladder0", "ladder1"}
	for _, name := range always {
		k.steady(name)
		testkit.NewViewer(t, k.master(name)).Join()
	}
	jwks := testkit.NewViewer(t, k.master("steady")).Fetch("http://"+k.s.HTTP+"/.well-known/jwks.json", http.StatusOK)
	readers := map[string]*eyes{}
	for _, name := range always[:2] {
		e := &eyes{soak: k, name: name, jwks: jwks, shown: map[string]bool{}}
		readers[name] = e
		reading.Go(func() { e.run(t) })
	}
	names := append(slices.Clone(always), "encoder", "camera")
	var producers []*producer
	for i, v := range visitors {
		v.rand = rand.New(rand.NewPCG(k.seed, uint64(100+i)))
		names = append(names, v.name)
		k.all.Go(v.run)
	}
	for i, name := range []string{"steady", "ladder0", visitors[0].name} {
		p := k.producer(name, uint64(200+i))
		producers = append(producers, p)
		producing.Go(p.run)
	}
	k.all.Go(func() { k.encoders(clip, rand.New(rand.NewPCG(k.seed, 1))) })
	k.all.Go(func() { k.camera(clip, rand.New(rand.NewPCG(k.seed, 2))) })
	k.all.Go(func() { k.killer(rand.New(rand.NewPCG(k.seed, 3))) })
	k.all.Go(func() {
		k.strict("steady", true, conformance.Options{Duration: k.scaled(4*time.Second, 6*time.Second), Off: hasty})
	})
	// Of rungs whose ffmpeg was killed there is a gap: where a check began behind its parts, which told of it, a segment is just short
	// of media and of the messages in them.
	gaps := append([]conformance.RuleID{conformance.RuleSegmentTime, conformance.RuleDecodeTime, conformance.RuleSameSpan, conformance.RuleRangeEvent,
		conformance.RuleEventSame}, hasty...)
	rungs := conformance.Options{Duration: k.scaled(4*time.Second, 6*time.Second), LooseHints: true, RaisedHold: true, Off: gaps}
	k.all.Go(func() { k.strict("ladder0", true, rungs) })
	// A publisher that returns has other codec data than the multivariant playlist had when the check began; and where a show ended,
	// another one of its name may have begun when the end is looked at.
	loose := conformance.Options{Duration: k.scaled(4*time.Second, 5*time.Second), LooseHints: true, RaisedHold: true, DecodeSlack: time.Millisecond,
		Off: append([]conformance.RuleID{conformance.RuleVariantCodecs, conformance.RuleBlockEnded, conformance.RuleSkipEnded, conformance.RuleEndFinal}, hasty...)}
	k.all.Go(func() { k.strict(visitors[0].name, false, loose) })
	killed := loose // in the middle of what it had to send: of sound, say, less than of pictures
	killed.Off = append([]conformance.RuleID{conformance.RuleSameSpan}, loose.Off...)
	k.all.Go(func() { k.strict("encoder", false, killed) })
	for i, name := range names {
		for j := range uint64(2) {
			v := &onlooker{soak: k, name: name, rand: rand.New(rand.NewPCG(k.seed, 1000+uint64(10*i)+j))}
			k.all.Go(v.run)
		}
	}
	k.all.Go(k.watch)
	k.all.Go(k.reloading)
	k.all.Go(k.filling)

	k.pause(k.length)
	silence()
	producing.Wait()
	k.pause(3 * time.Second)
	for _, p := range producers {
		k.pause(time.Until(p.due.Add(3 * time.Second))) // what is scheduled has its time, and its segment comes to its end
	}
	leaveAll()
	landAll()
	k.all.Wait()
	reading.Wait()

	for _, p := range producers {
		p.judge(readers[p.host.name])
		if !k.told(p) {
			n, one := k.hooks.missing(p)
			k.fault("%d of the cards of %s that were shown were told to nobody, such as %s", n, p.host.name, one)
			k.lost.Add(int64(n))
		}
	}
	k.idle()
	k.reloaded()
	for _, p := range producers {
		p.host.http.CloseIdleConnections()
	}
	after := k.settle(idle, len(names))
	k.trend()
	k.rise(producers)
	k.report(idle, after, readers)
}

// visitors makes one for each protocol.
func (k *soak) visitors() (all []*visitor) {
	for _, p := range k.protocols() {
		all = append(all, &visitor{soak: k, protocol: p, name: "visit-" + strings.ReplaceAll(p.Name, "/", "-"), shapes: k.shapesOf(p)})
	}
	return all
}

// freeUDP is a port that nobody has.
func freeUDP(t *testing.T) int {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// report prints the figures and tells all faults.
func (k *soak) report(idle, after sample, readers map[string]*eyes) {
	k.samples.mu.Lock()
	all := k.samples.all
	k.samples.mu.Unlock()
	messages := 0
	for _, e := range readers {
		messages += e.count
	}
	k.hooks.mu.Lock()
	hooks := fmt.Sprintf("%d events, %d told twice, %d refused by the receiver", k.hooks.events, k.hooks.twice, k.hooks.failed)
	k.hooks.mu.Unlock()
	k.t.Logf(`soak of %v, seed %d:
publishers %d (%v)
viewers' requests %d, left in mid-response %d, strict checks %d, violations %d
cards %d shown or changed, commands %d, sent again %d, connections lost %d, refused for want of room %d, in the media %d messages, lost %d
webhooks: %s
ffmpeg of ladders killed %d, reloads %d, disk filled %d
idle before:  %v
first sample: %v
in the middle: %v
last sample:  %v
idle after:   %v`,
		k.length, k.seed, k.publishers.Load(), &k.ways, k.requests.Load(), k.leavers.Load(), k.checks.Load(), k.violations.Load(),
		k.shows.Load(), k.commands.Load(), k.replays.Load(), k.retries.Load(), k.noRoom.Load(), messages, k.lost.Load(), hooks,
		k.kills.Load(), k.reloads.Load(), k.fills.Load(), idle, all[0], all[len(all)/2], all[len(all)-1], after)
	for what, n := range map[string]int64{"publishers": k.publishers.Load(), "requests": k.requests.Load(), "strict checks": k.checks.Load(),
		"cards": k.shows.Load(), "refusals on a full disk": k.noRoom.Load(), "kills": k.kills.Load(), "reloads": k.reloads.Load(),
		"messages in media": int64(messages)} {
		if n == 0 {
			k.fault("there were no %s: nothing was tested", what)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.faults {
		k.t.Error(f)
	}
	if file := os.Getenv("TEST_LOGS"); len(k.faults) > 0 && file != "" {
		os.WriteFile(filepath.Join(file, "soak.log"), []byte(k.s.Log.String()), 0o600)
	}
}
