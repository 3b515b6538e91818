package top

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the goldens anew")

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// metricsOf are a node's after so many seconds.
func metricsOf(t testing.TB, seconds float64, started int64) Metrics {
	t.Helper()
	text := fmt.Sprintf(`# TYPE process_start_time_seconds gauge
process_start_time_seconds %d
# TYPE pushcart_build_info gauge
pushcart_build_info{version="1.2.3"} 1
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total %f
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 3.5e+08
# TYPE process_open_fds gauge
process_open_fds 321
# TYPE process_max_fds gauge
process_max_fds 524288
# TYPE go_goroutines gauge
go_goroutines 77
# TYPE pushcart_hls_response_bytes_total counter
pushcart_hls_response_bytes_total{kind="part"} %f
pushcart_hls_response_bytes_total{kind="playlist"} %f
# TYPE pushcart_http_connections gauge
pushcart_http_connections 40
# TYPE pushcart_hls_waiting_requests gauge
pushcart_hls_waiting_requests 38
# TYPE pushcart_webhooks_queued gauge
pushcart_webhooks_queued{target="a"} 2
pushcart_webhooks_queued{target="b"} 1
# TYPE pushcart_hls_wake_seconds histogram
pushcart_hls_wake_seconds_bucket{le="0.001"} %d
pushcart_hls_wake_seconds_bucket{le="0.01"} %d
pushcart_hls_wake_seconds_bucket{le="+Inf"} %d
pushcart_hls_wake_seconds_sum 1
pushcart_hls_wake_seconds_count %d
`, started, seconds*0.42, seconds*1e6, seconds*2.5e5, int(seconds*90), int(seconds*100), int(seconds*100), int(seconds*100))
	m, err := ParseMetrics(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const streamsText = `{"streams":[
{"name":"show","state":"live","protocol":"rtmp","agent":"OBS 31","viewers":1234,"bitrate_bps":4512000,"keyframe_interval_seconds":2,"cards":1,
 "uptime_seconds":3723,"tracks":[{"kind":"video","codec":"H.264","width":1920,"height":1080,"frame_rate":29.97},{"kind":"audio","codec":"AAC"}],
 "drops":{"damaged":DAMAGED},"advice":["B-frames add 66 ms of delay: set the encoder's B-frames to 0.","Second."],
 "ladder":{"name":"hd","state":"reduced","rungs":[{"name":"720p","state":"running"},{"name":"480p","state":"off"}]}},
{"name":"away","state":"waiting","protocol":"whip","viewers":3,"uptime_seconds":12,"tracks":[],"drops":{},"advice":["The publisher is away: reconnect within 20 s, or the stream ends."]},
{"name":"far","state":"copied","protocol":"relay","viewers":77,"bitrate_bps":0,"lag_seconds":0.131,"uptime_seconds":200000,"tracks":[],"drops":{},"advice":[]}
]}`

// frames is two samples, a second apart.
func frameOf(t testing.TB) *Frame {
	t.Helper()
	var samples [2]*Sample
	for i := range samples {
		streams, err := ParseStreams([]byte(strings.Replace(streamsText, "DAMAGED", fmt.Sprint(5+3*i), 1)))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCluster([]byte(`{"self":"eu-1","directory":{"healthy":true},"nodes":[
			{"name":"us-1","region":"us","version":"1.2.3","uptime":99,"cpu":12.4,"viewers":50,"holds":2,"seen_ago":0.4},
			{"name":"eu-1","region":"eu","self":true,"version":"1.2.3","uptime":7200,"cpu":42,"viewers":1314,"holds":3,"seen_ago":0},
			{"name":"eu-2","region":"eu","version":"1.2.2","uptime":86400,"cpu":99,"viewers":9,"holds":1,"seen_ago":31,"full":true}]}`))
		if err != nil {
			t.Fatal(err)
		}
		samples[i] = &Sample{At: noon.Add(time.Duration(i) * time.Second), Streams: streams, Metrics: metricsOf(t, 7200+float64(i), noon.Unix()-7200), Cluster: c}
	}
	return NewFrame(samples[0], samples[1])
}

// TestGoldens compares screens with how they should look.
func TestGoldens(t *testing.T) {
	t.Parallel()
	wide := Screen{Columns: 150, Rows: 24}
	cases := map[string]struct {
		change func(*Frame, *View)
		screen Screen
	}{
		"wide":   {func(*Frame, *View) {}, wide},
		"narrow": {func(*Frame, *View) {}, Screen{Columns: 80, Rows: 24}},
		"tiny":   {func(*Frame, *View) {}, Screen{Columns: 30, Rows: 10}},
		"ascii":  {func(f *Frame, v *View) { f.Rows[0].Name = "шоу" }, Screen{Columns: 80, ASCII: true}},
		"cjk": {func(f *Frame, v *View) {
			f.Rows[0].Name, f.Rows[1].Name = "东京直播间", "e\u0301te\u0301"
			v.Sort = ByViewers
		}, wide},
		"advice": {func(f *Frame, v *View) { v.Advice = true }, wide},
		"filter": {func(f *Frame, v *View) { v.Filter = "rtmp" }, wide},
		"help":   {func(f *Frame, v *View) { v.Help = true }, wide},
		"down": {func(f *Frame, v *View) {
			f.Down, f.Since = "connection refused", f.At.Add(-75*time.Second)
		}, wide},
		"alone": {func(f *Frame, v *View) {
			*f = Frame{At: noon, AdminErr: "127.0.0.1:9090: connection refused", Node: NewFrame(nil, &Sample{At: noon}).Node}
		}, wide},
		"lost": {func(f *Frame, v *View) { f.DirectoryLost, f.Node.Draining, v.Paused = true, true, true }, wide},
	}
	for name, c := range cases {
		f, v := frameOf(t), &View{Sort: ByBitrate}
		c.change(f, v)
		lines := Render(f, v, c.screen)
		if c.screen.Rows > 0 && len(lines) > c.screen.Rows {
			t.Errorf("%s: %d lines", name, len(lines))
		}
		for _, l := range lines {
			w := 0
			for _, p := range l {
				w += Width(p.Text)
			}
			if w > c.screen.Columns {
				t.Errorf("%s: a line of %d columns: %v", name, w, l)
			}
		}
		got := Text(lines, false)
		file := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nnot\n%s", name, got, want)
		}
	}
}

// TestNumbers: rates come of the difference, a restart is seen and gives none.
func TestNumbers(t *testing.T) {
	t.Parallel()
	f := frameOf(t)
	n := f.Node
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > want/1000+1e-9 {
			t.Errorf("%s: %v, not %v", what, got, want)
		}
	}
	near("out", n.Out, 1e7)
	near("cpu", n.CPU, 42)
	near("wake", n.Wake, 0.01)
	near("webhooks", n.Webhooks, 3)
	if n.Uptime.Round(time.Second) != 7201*time.Second || n.Version != "1.2.3" || n.Viewers != 1314 || n.Live != 1 || n.Streams != 3 || f.Restarted || f.Rows[0].NewDrops != 3 {
		t.Errorf("%+v", n)
	}
	before := &Sample{At: noon, Metrics: metricsOf(t, 100, 1000)}
	f = NewFrame(before, &Sample{At: noon.Add(time.Second), Metrics: metricsOf(t, 1, noon.Unix())})
	if !f.Restarted || !math.IsNaN(f.Node.Out) || !math.IsNaN(f.Node.CPU) || !math.IsNaN(f.Node.Wake) || f.Node.Connections != 40 {
		t.Errorf("%+v", f.Node)
	}
	f = NewFrame(nil, &Sample{At: noon})
	if !math.IsNaN(f.Node.Out) || !math.IsNaN(f.Node.Memory) || f.Node.Draining {
		t.Errorf("%+v", f.Node)
	}
}

// TestKeys types what an operator may.
func TestKeys(t *testing.T) {
	t.Parallel()
	v := &View{}
	type step struct {
		keys string
		want View
	}
	for _, s := range []step{
		{"v", View{Sort: ByViewers}},
		{"v", View{Sort: ByViewers, Reversed: true}},
		{"b", View{Sort: ByBitrate}},
		{"\x1b[B\x1b[B\x1b[A", View{Sort: ByBitrate, Top: 1}},
		{"\x1bOB\x1b[6~", View{Sort: ByBitrate, Top: 12}},
		{"\x1b[5~\x1b[5~", View{Sort: ByBitrate}},
		{"/qaß\x7f東", View{Sort: ByBitrate, Filter: "qa東", Typing: true}},
		{"\r", View{Sort: ByBitrate, Filter: "qa東"}},
		{"/x\x1b", View{Sort: ByBitrate}},
		{"/" + strings.Repeat("y", 100) + "\x15ok\n", View{Sort: ByBitrate, Filter: "ok"}},
		{"\x1b", View{Sort: ByBitrate}},
		{"sr", View{Sort: ByUptime, Reversed: true}},
		{"ap?", View{Sort: ByUptime, Reversed: true, Advice: true, Paused: true, Help: true}},
		{"\x1b[", View{Sort: ByUptime, Reversed: true, Advice: true, Paused: true}},
		{"\x1b[999;999R\xff\x00", View{Sort: ByUptime, Reversed: true, Advice: true, Paused: true}},
	} {
		if v.Key([]byte(s.keys)) || *v != s.want {
			t.Fatalf("after %q: %+v, not %+v", s.keys, *v, s.want)
		}
	}
	for _, q := range []string{"q", "\x03", "\x1b[Aq"} {
		if !(&View{}).Key([]byte(q)) {
			t.Errorf("%q does not leave", q)
		}
	}
	if (&View{Typing: true}).Key([]byte("q\x03")) {
		t.Error("q in a filter leaves")
	}
}

// TestArrange sorts and filters.
func TestArrange(t *testing.T) {
	t.Parallel()
	rows := []Row{{Name: "b", Viewers: 1, Bitrate: 5}, {Name: "a", Viewers: 9, Bitrate: 5, Lag: 1}, {Name: "c", Viewers: 4, Agent: "OBS", Drops: 3, Uptime: 7}}
	for _, c := range []struct {
		by       int
		reversed bool
		filter   string
		want     string
	}{{ByName, false, "", "abc"}, {ByName, true, "", "cba"}, {ByViewers, false, "", "acb"}, {ByViewers, true, "", "bca"}, {ByBitrate, false, "", "abc"},
		{ByLag, false, "", "abc"}, {ByDrops, false, "", "cab"}, {ByUptime, false, "", "cab"}, {ByName, false, "obs", "c"}, {ByName, false, "zz", ""}} {
		got := ""
		for _, r := range arrange(rows, c.by, c.reversed, c.filter) {
			got += r.Name
		}
		if got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// hostile are texts that a publisher, or another node, may send.
var hostile = []string{"\x1b]0;owned\x07", "\x1b[2J\x1b[31m", "a\r\nb", "\u202egnp.exe", "\u009b31m", "\xff\xfe", "\u200b\u2066", strings.Repeat("长", 400), "\ufffd\ue000"}

// TestHostile: nothing that a publisher says reaches the terminal but printable characters, and no line is longer than the screen.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, h := range hostile {
		s := &Sample{At: noon, AdminErr: h, Metrics: Metrics{}, Cluster: &Cluster{}, Streams: []Stream{{
			Name: h, State: h, Protocol: h, Agent: h, Advice: []string{h}, Ladder: &Ladder{State: h}, Drops: map[string]uint64{h: 1}}}}
		f := NewFrame(nil, s)
		f.Down = h
		for _, v := range []*View{{}, {Advice: true}, {Filter: Clean(h)}} {
			v.Key([]byte("/" + h))
			for _, columns := range []int{1, 2, 7, 40, 200} {
				lines := Render(f, v, Screen{Columns: columns, Rows: 50})
				for line := range strings.Lines(Text(lines, false)) {
					line = strings.TrimSuffix(line, "\n")
					if Width(line) > columns {
						t.Errorf("%q: %d columns of %d", h, Width(line), columns)
					}
					for _, r := range line {
						if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co) || r == utf8.RuneError {
							t.Fatalf("%q comes out as %q", h, line)
						}
					}
				}
				// With colours there are only the sequences of this package.
				text := Paint(lines, 50, true)
				for _, seq := range append(append([]string{}, sgr[1:]...), "\x1b[0m", home, wipe, below, "\r\n") {
					text = strings.ReplaceAll(text, seq, "")
				}
				if strings.ContainsFunc(text, unicode.IsControl) {
					t.Fatalf("%q comes out as %q", h, text)
				}
			}
		}
	}
}

// TestWidth: characters of East Asia take two columns, marks none.
func TestWidth(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"abc": 3, "东京": 4, "e\u0301": 1, "ｱ": 1, "Ａ": 2, "한국": 4, "😀": 2, "": 0} {
		if got := Width(s); got != want {
			t.Errorf("%q: %d", s, got)
		}
		for n := range 6 {
			if w := Width(cut(s, n, "…")); w > n {
				t.Errorf("%q cut to %d has %d", s, n, w)
			}
			if w := Width(plain(cut(s, n, "…"))); w > n {
				t.Errorf("%q cut to %d has %d in ASCII", s, n, w)
			}
			if w := Width(pad(cut(s, n, "…"), n, n%2 == 0)); w != n {
				t.Errorf("%q in %d columns has %d", s, n, w)
			}
		}
	}
}

// FuzzSample reads what a node answers, and draws it.
func FuzzSample(f *testing.F) {
	f.Add([]byte(streamsText), []byte("a_total 1\n"), []byte(`{"nodes":[{"name":"x","cpu":1e300,"seen_ago":-1}]}`), 80)
	f.Add([]byte(`{"streams":[{"uptime_seconds":1e308,"viewers":-5,"bitrate_bps":-1,"tracks":[{"kind":"video","width":-1}]}]}`), []byte("pushcart_hls_wake_seconds_bucket{le=\"nan\"} 1\n"), []byte("{}"), 1)
	f.Fuzz(func(t *testing.T, streams, metrics, cluster []byte, columns int) {
		s := &Sample{At: noon}
		s.Streams, _ = ParseStreams(streams)
		s.Metrics, _ = ParseMetrics(strings.NewReader(string(metrics)))
		s.Cluster, _ = ParseCluster(cluster)
		columns = max(1, min(columns, 300))
		for _, l := range Render(NewFrame(s, s), &View{Advice: true}, Screen{Columns: columns, Rows: 40}) {
			w := 0
			for _, p := range l {
				w += Width(p.Text)
			}
			if w > columns {
				t.Fatalf("%d columns of %d: %v", w, columns, l)
			}
		}
	})
}

func BenchmarkRender(b *testing.B) {
	f := frameOf(b)
	for len(f.Rows) < 1000 {
		f.Rows = append(f.Rows, f.Rows[0])
	}
	v := &View{Sort: ByViewers}
	b.ReportAllocs()
	for b.Loop() {
		Paint(Render(f, v, Screen{Columns: 150, Rows: 50}), 50, true)
	}
}
