package top

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Style is how a piece of a line looks.
type Style uint8

// The styles.
const (
	Normal Style = iota
	Bold
	Dim
	Good
	Warn
	Bad
	Reverse
)

// Piece is a piece of a line: text, and how it looks.
type Piece struct {
	Text  string
	Style Style
}

// Line is one line of the screen.
type Line []Piece

// Screen says what of a screen there is.
type Screen struct {
	// Columns and Rows; Rows 0 is as many as it takes.
	Columns, Rows int
	// ASCII leaves everything else out.
	ASCII bool
}

// column of the table of streams.
type column struct {
	title string
	width int
	right bool
	least int // it is left out on screens with fewer columns
	text  func(*Row) string
	style func(*Row) Style
}

// nameColumn is the width of the first column, at most.
const nameColumn = 24

func streamColumns() []column {
	return []column{
		{"STATE", 8, false, 0, func(r *Row) string { return r.State }, func(r *Row) Style {
			switch r.State {
			case "live":
				return Good
			case "waiting":
				return Bad
			}
			return Normal
		}},
		{"PROTO", 5, false, 60, func(r *Row) string { return r.Protocol }, nil},
		{"SIZE", 9, false, 100, func(r *Row) string { return r.Size }, nil},
		{"FPS", 5, true, 70, func(r *Row) string { return unless(r.FPS == 0, fmt.Sprintf("%.4g", r.FPS)) }, nil},
		{"KBIT/S", 7, true, 50, func(r *Row) string { return unless(r.Bitrate == 0, fmt.Sprint(r.Bitrate/1000)) }, nil},
		{"KEY", 5, true, 90, func(r *Row) string { return unless(r.Keyframe == 0, fmt.Sprintf("%.1fs", r.Keyframe)) }, func(r *Row) Style {
			if r.Keyframe > 4.5 {
				return Warn
			}
			return Normal
		}},
		{"VIEWERS", 7, true, 0, func(r *Row) string { return number(float64(r.Viewers)) }, nil},
		{"LAG", 6, true, 110, func(r *Row) string { return unless(r.Lag == 0, fmt.Sprintf("%.2fs", r.Lag)) }, func(r *Row) Style {
			if r.Lag > 2 {
				return Warn
			}
			return Normal
		}},
		{"DROPS", 6, true, 80, func(r *Row) string { return number(float64(r.Drops)) }, func(r *Row) Style {
			switch {
			case r.NewDrops > 0:
				return Bad
			case r.Drops > 0:
				return Warn
			}
			return Normal
		}},
		{"LADDER", 12, false, 120, func(r *Row) string { return unless(r.Ladder == "", r.Ladder) }, func(r *Row) Style {
			if strings.HasSuffix(r.Ladder, "failed") || strings.HasSuffix(r.Ladder, "reduced") {
				return Warn
			}
			return Normal
		}},
		{"CARDS", 5, true, 105, func(r *Row) string { return fmt.Sprint(r.Cards) }, nil},
		{"UP", 6, true, 65, func(r *Row) string { return short(r.Uptime) }, nil},
	}
}

func unless(not bool, s string) string {
	if not {
		return "-"
	}
	return s
}

// Render makes the lines of a screen: as many columns and rows as it has, at most.
func Render(f *Frame, v *View, s Screen) []Line {
	p := &painter{frame: f, view: v, screen: s}
	p.screen.Columns = max(p.screen.Columns, 1)
	p.header()
	if v.Help {
		p.line(Piece{"", Normal})
		for _, l := range help {
			p.line(Piece{l, Normal})
		}
		return p.fitted()
	}
	p.peers()
	p.streams()
	return p.fitted()
}

type painter struct {
	frame  *Frame
	view   *View
	screen Screen
	lines  []Line
}

// line adds one, cut to the screen's width.
func (p *painter) line(pieces ...Piece) {
	room := p.screen.Columns
	var out Line
	for _, x := range pieces {
		text := cut(x.Text, room, "…")
		if p.screen.ASCII {
			text = plain(text)
		}
		room -= Width(text)
		if text != "" {
			out = append(out, Piece{text, x.Style})
		}
		if text == "" && x.Text != "" || room <= 0 {
			break
		}
	}
	p.lines = append(p.lines, out)
}

// fitted are the lines that fit.
func (p *painter) fitted() []Line {
	if p.screen.Rows > 0 && len(p.lines) > p.screen.Rows {
		return p.lines[:p.screen.Rows]
	}
	return p.lines
}

// header is the node's.
func (p *painter) header() {
	f, n := p.frame, &p.frame.Node
	state, style := "up "+short(n.Uptime), Good
	switch {
	case f.Down != "":
		state, style = fmt.Sprintf("NO ANSWER for %s, trying again: %s", short(f.At.Sub(f.Since)), Clean(f.Down)), Bad
	case n.Draining:
		state, style = "STOPPING: it takes no new publishers", Warn
	case f.AdminErr != "":
		state, style = "no metrics: "+f.AdminErr, Warn
	case f.Restarted:
		state, style = "RESTARTED, up "+short(n.Uptime), Warn
	}
	if p.view.Paused {
		state, style = "PAUSED · "+state, Warn
	}
	version := n.Version
	if version != "" {
		version = " " + version
	}
	p.line(Piece{"pushcart" + version, Bold}, Piece{"  ", Normal}, Piece{state, style}, Piece{"  " + f.At.Format(time.TimeOnly), Dim})
	p.line(Piece{fmt.Sprintf("streams %d (%d live)  viewers %s  out %s  connections %s  waiting %s  wake p99 %s",
		n.Streams, n.Live, number(float64(n.Viewers)), rate(n.Out), number(n.Connections), number(n.Waiting), latency(n.Wake)), Normal})
	p.line(Piece{fmt.Sprintf("cpu %s  memory %s  files %s/%s  goroutines %s", percent(n.CPU), size(n.Memory), number(n.Files), number(n.MaxFiles), number(n.Goroutines)), Normal},
		p.webhooks(), p.refusals())
}

func (p *painter) webhooks() Piece {
	n := &p.frame.Node
	if math.IsNaN(n.Webhooks) {
		return Piece{}
	}
	x := Piece{"  webhooks " + number(n.Webhooks) + " waiting", Normal}
	if n.WebhookFails > 0 {
		x = Piece{x.Text + ", failing", Warn}
	}
	return x
}

func (p *painter) refusals() Piece {
	if r := p.frame.Node.Rejection; r > 0 {
		return Piece{fmt.Sprintf("  refused publishers %.1f/s", r), Warn}
	}
	return Piece{}
}

func percent(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", v)
}

// peers are the cluster's nodes.
func (p *painter) peers() {
	f := p.frame
	if !f.Cluster {
		return
	}
	p.line()
	title := Piece{pad("NODE", nameColumn, false) + pad("REGION", 12, false) + pad("CPU", 6, true) + pad("VIEWERS", 9, true) + pad("STREAMS", 9, true) + pad("SEEN", 8, true) + pad("UP", 8, true) + "  VERSION", Bold}
	if f.DirectoryLost {
		p.line(title, Piece{"  the directory is not there: what others do is not known", Bad})
	} else {
		p.line(title)
	}
	// Half of the screen is the streams'.
	most := len(f.Peers)
	if p.screen.Rows > 0 {
		most = max(1, p.screen.Rows/2-5)
	}
	for i, n := range f.Peers {
		if i == most && len(f.Peers) > most+1 {
			p.line(Piece{fmt.Sprintf("… %d more nodes", len(f.Peers)-i), Dim})
			break
		}
		name, style := n.Name, Normal
		if n.Self {
			name, style = name+" *", Bold
		}
		seen := Piece{pad(short(n.Seen), 8, true), Normal}
		if n.Seen > 10*time.Second {
			seen.Style = Bad
		}
		cpu := Piece{pad(percent(n.CPU), 6, true), Normal}
		if n.Full {
			cpu = Piece{pad("full", 6, true), Warn}
		}
		p.line(Piece{pad(cut(name, nameColumn-1, "…"), nameColumn, false), style}, Piece{pad(cut(n.Region, 11, "…"), 12, false), Normal}, cpu,
			Piece{pad(number(float64(n.Viewers)), 9, true) + pad(number(float64(n.Holds)), 9, true), Normal}, seen,
			Piece{pad(short(n.Uptime), 8, true) + "  " + n.Version, Normal})
	}
}

// streams is the table.
func (p *painter) streams() {
	v := p.view
	rows := arrange(p.frame.Rows, v.Sort, v.Reversed, v.Filter)
	v.Top = max(0, min(v.Top, len(rows)-1))
	p.line()
	what := "sorted by " + sortNames[v.Sort%columns]
	if v.Reversed {
		what += ", reversed"
	}
	switch {
	case v.Typing:
		p.line(Piece{"filter: " + v.Filter + "_", Bold})
	case v.Filter != "":
		p.line(Piece{fmt.Sprintf("%d of %d streams with %q, %s", len(rows), len(p.frame.Rows), v.Filter, what), Dim})
	case v.Top > 0:
		p.line(Piece{fmt.Sprintf("from stream %d of %d, %s", v.Top+1, len(rows), what), Dim})
	case p.screen.Rows == 0: // nobody is there to press keys
		p.line(Piece{what, Dim})
	default:
		p.line(Piece{what + "; ? shows the keys", Dim})
	}
	name := p.nameWidth(rows)
	var shown []column
	used := name
	for _, c := range streamColumns() {
		if p.screen.Columns >= c.least {
			shown = append(shown, c)
			used += c.width + 1
		}
	}
	title := pad("STREAM", name, false)
	for _, c := range shown {
		title += " " + pad(c.title, c.width, c.right)
	}
	p.line(Piece{pad(title+"  ADVICE", p.screen.Columns, false), Reverse})
	switch {
	case len(p.frame.Rows) == 0:
		p.line(Piece{"no stream is live", Dim})
	case len(rows) == 0:
		p.line(Piece{"no stream has that; Esc shows all", Dim})
	}
	for i := v.Top; i < len(rows); i++ {
		if p.screen.Rows > 0 && len(p.lines) >= p.screen.Rows {
			return
		}
		p.row(&rows[i], name, shown)
	}
}

// nameWidth is how wide the streams' names are.
func (p *painter) nameWidth(rows []Row) int {
	w := len("STREAM")
	for i := range rows {
		w = max(w, Width(rows[i].Name))
	}
	return min(w, nameColumn, max(6, p.screen.Columns/3))
}

func (p *painter) row(r *Row, name int, shown []column) {
	line := []Piece{{pad(cut(r.Name, name, "…"), name, false), Bold}}
	for _, c := range shown {
		style := Normal
		if c.style != nil {
			style = c.style(r)
		}
		line = append(line, Piece{" ", Normal}, Piece{pad(cut(c.text(r), c.width, "…"), c.width, c.right), style})
	}
	if p.view.Advice {
		p.line(line...)
		if r.Agent != "" {
			p.line(Piece{"    " + r.Agent, Dim})
		}
		for _, a := range r.Advice {
			p.line(Piece{"    " + a, Warn})
		}
		return
	}
	if len(r.Advice) > 0 {
		more := ""
		if n := len(r.Advice) - 1; n > 0 {
			more = fmt.Sprintf("(+%d) ", n)
		}
		line = append(line, Piece{"  " + more + r.Advice[0], Warn})
	}
	p.line(line...)
}
