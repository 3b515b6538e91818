package load

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Report is what a run has found.
type Report struct {
	Origin     Origin `json:"origin"`
	Publishers int    `json:"publishers"`
	Bitrate    int64  `json:"publisher_bits_per_second,omitempty"`
	// Idle is what the origin used before the publishers came, and Published with them, both without viewers.
	Idle      *Usage  `json:"origin_before_publishers,omitempty"`
	Published *Usage  `json:"origin_with_publishers_only,omitempty"`
	Steps     []*Step `json:"steps"`
	// Passed tells whether no step passed a limit.
	Passed bool `json:"passed"`
	// Carries is how many viewers the last step had before the first one that passed a limit.
	Carries int `json:"carries_viewers"`
	// Interrupted tells that the run was ended early.
	Interrupted bool `json:"interrupted"`
	// Notes are what to know about the figures, first of all whether the load generator was too slow.
	Notes []string `json:"notes,omitempty"`
}

// Origin is what was found at the URL before any load.
type Origin struct {
	URL        string        `json:"url"` // without its query, and what else may be a secret
	Streams    int           `json:"streams"`
	LowLatency bool          `json:"low_latency"`
	PartTarget time.Duration `json:"part_target_ns"`
	HoldBack   time.Duration `json:"hold_back_ns"`
	Target     time.Duration `json:"target_duration_ns"`
	Variants   int           `json:"variants"`
	Bandwidth  int64         `json:"bandwidth"` // of the variant that most watch; 0 is not told
	Sound      bool          `json:"separate_sound"`
}

// Delay sums up a duration's distribution.
type Delay struct {
	Count int64         `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

func (h *histogram) delay() Delay {
	return Delay{Count: h.n.Load(), P50: h.quantile(0.5), P99: h.quantile(0.99), Max: time.Duration(h.most.Load())}
}

// Step is what a number of viewers got.
type Step struct {
	Viewers  int           `json:"viewers"`
	Duration time.Duration `json:"duration_ns"`

	Playing int `json:"playing"` // viewers that had begun to play
	Never   int `json:"never_played"`
	GaveUp  int `json:"gave_up"`
	Ended   int `json:"saw_the_end"`

	Start Delay `json:"start"` // from a viewer's first request until it plays
	// Added is from when the last picture of a part left its publisher until its last byte was there; of stamped streams only.
	Added Delay `json:"added_latency"`
	// Behind is behind the first viewer who had the part.
	Behind Delay `json:"behind_first_viewer"`
	// Dated is behind the end of the part by the playlist's dates: what encoder and clocks do is in it. It is negative by
	// up to a frame where a part is there at once, since a frame is sent when it begins and the part ends with the frame's end; by
	// more where dates or clocks are ahead.
	Dated Delay `json:"behind_playlist_date"`
	// Reload is when the playlist with a part is there, counted as Added is, or as Behind without stamps.
	Reload Delay `json:"playlist"`
	// Request is of requests that had not to wait.
	Request Delay `json:"request"`

	Stalls         int           `json:"stalls"`
	StalledViewers int           `json:"stalled_viewers"`
	Stalled        time.Duration `json:"stalled_ns"`
	StallShare     float64       `json:"stall_share"` // of viewers' time; who never played stalls all the time
	Jumps          int64         `json:"jumps"`

	Errors     map[string]int64 `json:"errors,omitempty"`
	ErrorShare float64          `json:"error_share"` // of requests
	Parts      int64            `json:"media_files"`
	Playlists  int64            `json:"playlists"`
	Hints      int64            `json:"preload_hints"`
	LostHints  int64            `json:"preload_hints_lost"`
	Bytes      int64            `json:"bytes"`
	CacheHits  int64            `json:"cache_hits"`
	CacheMiss  int64            `json:"cache_misses"`

	Node *Usage `json:"origin_usage,omitempty"`
	// OwnShare is how much of the CPU time that it may use the load generator used.
	OwnShare float64 `json:"generator_cpu_share"`
	// Lag is how late the load generator's timers were.
	Lag Delay `json:"generator_lag"`

	// Why says which limits the step passed; none is that it did not.
	Why []string `json:"failed,omitempty"`
}

// Print writes the report as a table for people.
func (r *Report) Print(w io.Writer) error {
	p := &printer{w: w}
	p.head(r)
	p.table(r)
	p.usage(r)
	p.errors(r)
	p.verdict(r)
	return p.err
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) head(r *Report) {
	o := r.Origin
	kind := fmt.Sprintf("plain HLS, no parts; segments of up to %s", o.Target)
	if o.LowLatency {
		kind = fmt.Sprintf("low-latency HLS, parts of up to %s, players %s behind", short(o.PartTarget), short(o.HoldBack))
	}
	p.line("%s: %s", o.URL, kind)
	line := fmt.Sprintf("%d stream%s", o.Streams, plural(o.Streams))
	if r.Publishers > 0 {
		line += fmt.Sprintf(", published from here at %s each", rate(r.Bitrate))
	}
	if o.Variants > 0 {
		line += fmt.Sprintf("; %d variant%s", o.Variants, plural(o.Variants))
	}
	if o.Sound {
		line += ", sound of its own"
	}
	p.line("%s", line)
	p.line("")
}

// table has a column for each step.
func (p *printer) table(r *Report) {
	if len(r.Steps) == 0 {
		return
	}
	rows := []struct {
		name string
		cell func(*Step) string
	}{
		{"viewers", func(s *Step) string { return fmt.Sprint(s.Viewers) }},
		{"  that play", func(s *Step) string { return fmt.Sprint(s.Playing) }},
		{"measured for", func(s *Step) string { return s.Duration.Round(100 * time.Millisecond).String() }},
		{"stalls", func(s *Step) string { return fmt.Sprintf("%d (%d viewers)", s.Stalls, s.StalledViewers) }},
		{"  share of the time", func(s *Step) string { return percent(s.StallShare) }},
		{"errors, of requests", func(s *Step) string { return percent(s.ErrorShare) }},
		{"first media, p50 / p99", func(s *Step) string { return s.Start.pair() }},
		{"added latency of a part, p50 / p99", func(s *Step) string { return s.Added.pair() }},
		{"behind the first viewer, p50 / p99", func(s *Step) string { return s.Behind.pair() }},
		{"behind the playlist's date, p50 / p99", func(s *Step) string { return s.Dated.pair() }},
		{"playlist reload, p50 / p99", func(s *Step) string { return s.Reload.pair() }},
		{"other requests, p50 / p99", func(s *Step) string { return s.Request.pair() }},
		{"media and playlists a second", func(s *Step) string { return fmt.Sprintf("%.0f", per(s.Parts+s.Playlists, s.Duration)) }},
		{"traffic", func(s *Step) string { return rate(int64(per(s.Bytes*8, s.Duration))) }},
		{"preload hints that did not hold", func(s *Step) string { return share(s.LostHints, s.Hints) }},
		{"cache hits", func(s *Step) string { return share(s.CacheHits, s.CacheHits+s.CacheMiss) }},
		{"saw the stream's end", func(s *Step) string { return count(int64(s.Ended)) }},
		{"fell out of the window", func(s *Step) string { return count(s.Jumps) }},
		{"origin's CPU", func(s *Step) string { return s.Node.cores() }},
		{"origin's memory", func(s *Step) string { return s.Node.memory() }},
		{"this program's CPU, of what it may use", func(s *Step) string { return percent(s.OwnShare) }},
	}
	for _, row := range rows {
		cells := make([]string, len(r.Steps))
		empty := true
		for i, s := range r.Steps {
			cells[i] = row.cell(s)
			empty = empty && cells[i] == "-"
		}
		if empty {
			continue
		}
		line := row.name + strings.Repeat(" ", max(1, 40-utf8.RuneCountInString(row.name)))
		for _, c := range cells {
			line += fmt.Sprintf("%18s", c)
		}
		p.line("%s", line)
	}
	p.line("")
}

// usage tells what a stream and a viewer cost, as far as that can be told apart.
func (p *printer) usage(r *Report) {
	u := r.Published
	if u == nil || r.Idle == nil {
		return
	}
	streams := float64(r.Publishers)
	memory := "its memory has not grown"
	if more := u.Memory - r.Idle.Memory; more > 0 {
		memory = size(int64(float64(more)/streams)) + " of memory"
	}
	p.line("Before the publishers came, the origin used %.1f %% of a core and %s.", 100*r.Idle.Cores, size(r.Idle.Memory))
	p.line("Above that, a stream costs it %.2f %% of a core and %s, without viewers.", 100*max(0, u.Cores-r.Idle.Cores)/streams, memory)
	if len(r.Steps) > 0 {
		p.line("(Memory grows until the window is full. With --viewers 0, publishers are measured for all of --duration.)")
	}
	for _, s := range r.Steps {
		if s.Node != nil && s.Playing > 0 {
			p.line("A viewer costs it %.3f %% of a core more, of %d.", 100*max(0, s.Node.Cores-u.Cores)/float64(s.Playing), s.Viewers)
		}
	}
	p.line("")
}

func (p *printer) errors(r *Report) {
	for _, s := range r.Steps {
		if len(s.Errors) == 0 {
			continue
		}
		p.line("Errors with %d viewers:", s.Viewers)
		kinds := make([]string, 0, len(s.Errors))
		for k := range s.Errors {
			kinds = append(kinds, k)
		}
		slices.SortFunc(kinds, func(a, b string) int {
			if d := s.Errors[b] - s.Errors[a]; d != 0 {
				return int(min(1, max(-1, d)))
			}
			return strings.Compare(a, b)
		})
		for _, k := range kinds {
			p.line("%8d  %s", s.Errors[k], k)
			if h := hints[k]; h != "" {
				p.line("          (%s)", h)
			}
		}
	}
}

// hints say what to do about kinds of errors.
var hints = map[string]string{
	"out of open files here":            "raise the limit of open files for this program: ulimit -n",
	"out of local ports here":           "one address has some 28,000 ports to one server: use --http2, or several machines",
	"playlist: status 503":              "the origin is full, or limits waiting requests from one address: http.max_waiting_per_address",
	"playlist: status 429":              "the origin limits requests from one address",
	"media: status 503":                 "the origin is full, or limits waiting requests from one address: http.max_waiting_per_address",
	"multivariant playlist: status 400": "is it https://, and not http://?",
	"multivariant playlist: status 401": "the stream is played by signed addresses only: pushcart sign NAME --playlist makes one",
	"multivariant playlist: status 403": "the origin refuses this viewer: is the address still good, and for here?",
	kindUntrusted:                       "name the authority's certificate with --ca, or take any with --insecure",
	kindPlain:                           "is it http://, and not https://?",
	kindNoHTTP2:                         "leave out --http2; or is it https://?",
	"multivariant playlist: status 404": "there is no such stream, or it has ended",
	"connection broken":                 "the origin ended, or limits connections: http.max_connections, http.max_connections_per_address",
}

func (p *printer) verdict(r *Report) {
	for _, n := range r.Notes {
		p.line("Note: %s", n)
	}
	if n := len(r.Steps); r.Interrupted && n > 0 && r.Steps[n-1].Parts > 0 {
		p.line("Ended early: these are the figures so far.")
	}
	for _, s := range r.Steps {
		if len(s.Why) > 0 {
			p.line("With %d viewers: %s.", s.Viewers, strings.Join(s.Why, "; "))
		}
	}
	if len(r.Steps) == 0 {
		return
	}
	streams := fmt.Sprintf("%d stream%s", r.Origin.Streams, plural(r.Origin.Streams))
	switch last := r.Steps[len(r.Steps)-1]; {
	case r.Interrupted && last.Parts == 0:
		p.line("Ended before anything was measured.")
	case r.Passed && r.Interrupted:
		p.line("OK so far: %d viewers of %s.", last.Viewers, streams)
	case r.Passed:
		p.line("OK: this machine carries %d viewers of %s, or more.", r.Carries, streams)
	case r.Carries > 0:
		p.line("FAILED: this machine carries %d viewers of %s.", r.Carries, streams)
	default:
		p.line("FAILED.")
	}
}

func (d Delay) pair() string {
	if d.Count == 0 {
		return "-"
	}
	return short(d.P50) + " / " + short(d.P99)
}

func (u *Usage) cores() string {
	if u == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %% of a core", 100*u.Cores)
}

func (u *Usage) memory() string {
	if u == nil {
		return "-"
	}
	return size(u.Memory)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// short rounds a duration to three digits or so.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + short(-d)
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 100*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

func percent(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }

func per(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

func share(n, of int64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

func count(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func rate(bits int64) string {
	switch {
	case bits >= 1e9:
		return fmt.Sprintf("%.2f Gbit/s", float64(bits)/1e9)
	case bits >= 1e6:
		return fmt.Sprintf("%.1f Mbit/s", float64(bits)/1e6)
	}
	return fmt.Sprintf("%.0f kbit/s", float64(bits)/1e3)
}

func size(bytes int64) string {
	if bytes >= 1e9 {
		return fmt.Sprintf("%.2f GB", float64(bytes)/1e9)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}
