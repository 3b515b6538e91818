package top

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// Frame is what there is to see: a sample, and what has happened since the one before.
type Frame struct {
	At      time.Time
	Rows    []Row
	Peers   []Peer
	Node    Totals
	Cluster bool
	// DirectoryLost tells that the cluster's directory is not there at the moment.
	DirectoryLost bool
	AdminErr      string
	// Down is why the node could not be asked, since Since; "" when it could. The rest is as it was last then.
	Down  string
	Since time.Time
	// Restarted tells that the node is another process than when this began.
	Restarted bool
}

// Totals are the node's. What is not known is NaN.
type Totals struct {
	Version                 string
	Uptime                  time.Duration
	Streams, Live           int
	Viewers                 int
	Out                     float64 // bit/s
	CPU                     float64 // of one processor, in percent
	Memory                  float64 // bytes
	Files, MaxFiles         float64
	Goroutines              float64
	Connections, Waiting    float64
	Wake                    float64 // 99th percentile in seconds, of the time since the sample before
	Webhooks                float64 // events that wait
	Draining                bool
	WebhookFails, Rejection float64 // a second
}

// Row is one stream.
type Row struct {
	Name, State, Protocol, Agent string
	Size                         string // 1280x720
	FPS                          float64
	Bitrate                      int64
	Keyframe                     float64 // seconds; 0 is not known
	Viewers, Cards, Reconnects   int
	Lag                          float64 // seconds; 0 is none
	Drops                        uint64
	NewDrops                     uint64 // since the sample before
	Ladder                       string
	Uptime                       time.Duration
	Advice                       []string
}

// Peer is another node of the cluster.
type Peer struct {
	Name, Region, Version string
	Self, Full            bool
	CPU                   float64
	Viewers, Holds, Peers int
	Uptime, Seen          time.Duration
}

// NewFrame makes a frame of two samples, the older of which may be nil. All text in it is fit for a terminal.
func NewFrame(before, now *Sample) *Frame {
	f := &Frame{At: now.At, AdminErr: Clean(now.AdminErr)}
	old := map[string]*Stream{}
	if before != nil {
		for i := range before.Streams {
			old[before.Streams[i].Name] = &before.Streams[i]
		}
	}
	for i := range now.Streams {
		s := &now.Streams[i]
		r := newRow(s)
		if o := old[s.Name]; o != nil {
			if was := drops(o); r.Drops > was {
				r.NewDrops = r.Drops - was
			}
		}
		f.Rows = append(f.Rows, r)
		f.Node.Viewers += s.Viewers
		f.Node.Streams++
		if s.State == "live" {
			f.Node.Live++
		}
	}
	f.totals(before, now)
	if c := now.Cluster; c != nil {
		f.Cluster, f.DirectoryLost = true, !c.Directory.Healthy
		for _, n := range c.Nodes {
			f.Peers = append(f.Peers, Peer{
				Name: Clean(n.Name), Region: Clean(n.Region), Version: Clean(n.Version), Self: n.Self, Full: n.Full, CPU: n.CPU,
				Viewers: n.Viewers, Holds: n.Holds, Peers: n.Peers, Uptime: duration(n.Uptime), Seen: duration(n.SeenAgo),
			})
		}
		slices.SortFunc(f.Peers, func(a, b Peer) int {
			return cmp.Or(strings.Compare(a.Region, b.Region), strings.Compare(a.Name, b.Name))
		})
	}
	return f
}

func newRow(s *Stream) Row {
	r := Row{
		Name: Clean(s.Name), State: Clean(s.State), Protocol: Clean(s.Protocol), Agent: Clean(s.Agent), Bitrate: s.Bitrate,
		Keyframe: s.KeyframeSeconds, Viewers: s.Viewers, Cards: s.Cards, Reconnects: s.Reconnects, Lag: s.LagSeconds,
		Drops: drops(s), Uptime: duration(s.UptimeSeconds),
	}
	for _, t := range s.Tracks {
		if t.Kind == "video" && r.Size == "" {
			r.Size, r.FPS = dimensions(t.Width, t.Height), t.FrameRate
		}
	}
	for _, a := range s.Advice {
		r.Advice = append(r.Advice, Clean(a))
	}
	if l := s.Ladder; l != nil {
		on := 0
		for _, g := range l.Rungs {
			if g.State == "running" {
				on++
			}
		}
		r.Ladder = Clean(l.State)
		if len(l.Rungs) > 0 {
			r.Ladder = number(float64(on)) + "/" + number(float64(len(l.Rungs))) + " " + r.Ladder
		}
	}
	return r
}

func drops(s *Stream) (n uint64) {
	for _, d := range s.Drops {
		n += d
	}
	return n
}

// totals reads the node's metrics.
func (f *Frame) totals(before, now *Sample) {
	n := &f.Node
	m := now.Metrics
	gauge := func(name string) float64 {
		if v, ok := m.Sum(name); ok {
			return v
		}
		return math.NaN()
	}
	began := gauge("process_start_time_seconds")
	var old Metrics
	dt := math.NaN()
	if before != nil && before.Metrics != nil && m != nil {
		was, ok := before.Metrics.Sum("process_start_time_seconds")
		f.Restarted = ok && !math.IsNaN(began) && was != began
		if !f.Restarted {
			old, dt = before.Metrics, now.At.Sub(before.At).Seconds()
		}
	}
	rate := func(name string) float64 {
		v, ok := m.Sum(name)
		was, had := old.Sum(name)
		if !ok || !had || !(dt > 0) || v < was {
			return math.NaN()
		}
		return (v - was) / dt
	}
	n.Version = Clean(m.Label("pushcart_build_info", "version"))
	if !math.IsNaN(began) {
		n.Uptime = max(0, now.At.Sub(time.Unix(0, int64(began*1e9))))
	}
	n.Out, n.CPU = rate("pushcart_hls_response_bytes_total")*8, rate("process_cpu_seconds_total")*100
	n.Memory, n.Goroutines = gauge("process_resident_memory_bytes"), gauge("go_goroutines")
	n.Files, n.MaxFiles = gauge("process_open_fds"), gauge("process_max_fds")
	n.Connections, n.Waiting = gauge("pushcart_http_connections"), gauge("pushcart_hls_waiting_requests")
	n.Wake = quantile(0.99, m.buckets("pushcart_hls_wake_seconds"), old.buckets("pushcart_hls_wake_seconds"))
	n.Webhooks, n.WebhookFails = gauge("pushcart_webhooks_queued"), rate("pushcart_webhooks_failed_total")
	n.Rejection = rate("pushcart_ingest_refusals_total")
	n.Draining = gauge("pushcart_draining") > 0
}

// quantile is the upper bound of the bucket that it falls into, of what a histogram has got since before; NaN without anything.
func quantile(q float64, now, before map[float64]float64) float64 {
	if len(now) == 0 || before == nil {
		return math.NaN()
	}
	bounds := make([]float64, 0, len(now))
	for b := range now {
		bounds = append(bounds, b)
	}
	slices.Sort(bounds)
	total := now[bounds[len(bounds)-1]] - before[bounds[len(bounds)-1]]
	if !(total > 0) {
		return math.NaN()
	}
	finite := math.NaN()
	for _, b := range bounds {
		if !math.IsInf(b, 0) {
			finite = b
		}
		if now[b]-before[b] >= q*total {
			return finite
		}
	}
	return finite
}

// duration is a number of seconds, within bounds.
func duration(seconds float64) time.Duration {
	if !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, 1e9) * float64(time.Second))
}

// Columns that streams can be sorted by.
const (
	ByName = iota
	ByViewers
	ByBitrate
	ByUptime
	ByLag
	ByDrops
	columns
)

// sortNames name them.
var sortNames = [columns]string{"name", "viewers", "bitrate", "uptime", "lag", "drops"}

// arrange returns the rows that pass a filter, in an order. Numbers begin with the largest, unless reversed; equal rows stay by name.
func arrange(rows []Row, by int, reversed bool, filter string) []Row {
	filter = strings.ToLower(filter)
	out := make([]Row, 0, len(rows))
	for _, r := range rows {
		if filter == "" || strings.Contains(strings.ToLower(r.Name+" "+r.State+" "+r.Protocol+" "+r.Agent), filter) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Row) int {
		var c int
		switch by {
		case ByViewers:
			c = cmp.Compare(b.Viewers, a.Viewers)
		case ByBitrate:
			c = cmp.Compare(b.Bitrate, a.Bitrate)
		case ByUptime:
			c = cmp.Compare(b.Uptime, a.Uptime)
		case ByLag:
			c = cmp.Compare(b.Lag, a.Lag)
		case ByDrops:
			c = cmp.Or(cmp.Compare(b.NewDrops, a.NewDrops), cmp.Compare(b.Drops, a.Drops))
		default:
			c = strings.Compare(a.Name, b.Name)
		}
		if reversed {
			c = -c
		}
		return cmp.Or(c, strings.Compare(a.Name, b.Name))
	})
	return out
}
