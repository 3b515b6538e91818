package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"pushcart/overlay/api"
)

// ladderCommand is pushcart ladder: what ffmpeg makes of streams, from a shell.
type ladderCommand struct {
	nodeFlags

	Name   string `arg:"" optional:"" help:"The stream; without, what the node makes ladders with is told."`
	DryRun bool   `help:"Print the ffmpeg commands that would be run for the stream, each in a line to be pasted, and run nothing."`
	Source string `placeholder:"TEXT" help:"With --dry-run: what the publisher would send, such as 'h264 1280x720 30fps aac' or 'hevc 1920x1080 pq opus mono' (pq, hlg: HDR); without, the stream's tracks."`
	Config string `short:"c" placeholder:"FILE" help:"With --dry-run: plan by this configuration file, without asking a node."`
}

// Run implements the command.
func (c *ladderCommand) Run(s surroundings) error {
	switch {
	case !c.DryRun && (c.Source != "" || c.Config != ""):
		return errors.New("--source and --config are for --dry-run: say it, too")
	case c.DryRun && c.Name == "":
		return errors.New("--dry-run is for one stream: say its name, which need not be live, such as pushcart ladder show --dry-run")
	case c.DryRun && c.Config != "":
		return c.plan(s)
	case c.DryRun:
		return c.begin(s, c.askPlan)
	case c.Name != "":
		return c.begin(s, c.tellStream)
	}
	return c.begin(s, tellNode)
}

// tellStream prints a stream's ladder.
func (c *ladderCommand) tellStream(j *job) error {
	j.stream = c.Name
	var d api.LadderDetail
	if done, err := j.get("/ladder", &d); err != nil || done {
		return err
	}
	if err := j.say("%s", headline(&d)); err != nil {
		return err
	}
	if len(d.Rungs) > 0 {
		if err := table(j.stdout, rungRows(&d)); err != nil {
			return err
		}
	}
	if len(d.Children) > 0 {
		if err := table(j.stdout, childRows(d.Children)); err != nil {
			return err
		}
	}
	for i := range d.Children {
		if err := j.sayWhyFailing(&d.Children[i]); err != nil {
			return err
		}
	}
	for _, note := range d.Notes {
		if err := j.say("%s", printable(note)); err != nil {
			return err
		}
	}
	return nil
}

// headline says in a line what a ladder is and how it does.
func headline(d *api.LadderDetail) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", d.Stream)
	switch {
	case d.Name == "" && len(d.Rungs) == 0:
		b.WriteString("no ladder")
	case d.Name == "":
		b.WriteString("conversions")
	default:
		fmt.Fprintf(&b, "ladder %s (%s)", d.Name, d.Mode)
	}
	fmt.Fprintf(&b, ", %s", d.State)
	if d.Backend != "" {
		fmt.Fprintf(&b, " on %s", d.Backend)
	}
	if len(d.Converts) > 0 {
		fmt.Fprintf(&b, ", %s", strings.Join(d.Converts, ", "))
	}
	if d.Reason != "" {
		fmt.Fprintf(&b, ": %s", d.Reason)
	}
	return printable(b.String())
}

// rungRows is the table of a ladder's rungs.
func rungRows(d *api.LadderDetail) [][]string {
	rows := [][]string{{"RUNG", "CODEC", "SIZE", "FRAMES/S", "ASKED", "MEASURED", "LAG", "SPEED", "DROPPED", "STATE"}}
	speeds := map[string]string{"video": speedOf(d.Children, "picture"), "audio": speedOf(d.Children, "sound")}
	for i := range d.Rungs {
		r := &d.Rungs[i]
		idle := r.State != "running" // then there is neither a distance nor a speed
		rows = append(rows, []string{
			r.Name, r.Codec, unless(r.Width == 0, "%dx%d", r.Width, r.Height), unless(r.FrameRate == 0, "%.4g", r.FrameRate),
			bitRate(r.Bitrate), bitRate(r.Measured), unless(idle, "%.2f s", r.Lag), unless(idle, "%s", speeds[r.Kind]), fmt.Sprint(r.Dropped), because(r.State, r.Reason),
		})
	}
	return rows
}

// speedOf is the speed of the process of a kind; "-" where there is not exactly one.
func speedOf(children []api.LadderChild, kind string) string {
	speed := "-"
	for i := range children {
		if children[i].Kind != kind {
			continue
		}
		if speed != "-" {
			return "-"
		}
		speed = speedText(children[i].Speed)
	}
	return speed
}

// speedText is the media's time by the clock's; "-" for the first seconds, in which it is not known.
func speedText(speed float64) string { return unless(speed == 0, "%.2fx", speed) }

// childRows is the table of a ladder's processes.
func childRows(children []api.LadderChild) [][]string {
	rows := [][]string{{"PROCESS", "PID", "ENCODER", "SPEED", "FRAMES/S", "CPU", "QUEUE", "DROPPED", "RESTARTS"}}
	for i := range children {
		c := &children[i]
		rows = append(rows, []string{
			c.Kind, unless(c.Pid == 0, "%d", c.Pid), unless(c.Backend == "", "%s", c.Backend), speedText(c.Speed), unless(c.FPS == 0, "%.4g", c.FPS),
			fmt.Sprintf("%.0f%%", c.CPU), fmt.Sprint(c.Queue), fmt.Sprint(c.Dropped), fmt.Sprint(c.Restarts),
		})
	}
	return rows
}

// sayWhyFailing prints why a process failed, now or at some time before, and the last that it said; nothing of one that never did.
func (j *job) sayWhyFailing(c *api.LadderChild) error {
	if c.LastError == "" {
		return nil
	}
	format := "%s failed: %s"
	if c.Pid != 0 {
		format = "%s runs again. What failed before: %s"
	}
	if err := j.say(format, c.Kind, printable(c.LastError)); err != nil {
		return err
	}
	for _, line := range c.Stderr {
		if err := j.say("  %s", printable(line)); err != nil {
			return err
		}
	}
	return nil
}

// tellNode prints what the node makes ladders with.
func tellNode(j *job) error {
	answer, err := j.send(j.ctx, http.MethodGet, j.base+"/api/v1/ladder", nil, nil)
	if err != nil {
		return err
	}
	var n api.LadderNode
	if done, err := j.taken(answer, &n); err != nil || done {
		return err
	}
	if n.Error != "" {
		if err := j.say("no ladders are made: %s", printable(n.Error)); err != nil {
			return err
		}
	}
	if err := j.say("ffmpeg %s (%s), %.1f of %.1f cores, %d of %d transcodes", shortVersion(n.Version), printable(n.Program),
		n.UsedCores, n.BudgetCores, n.Transcodes, n.MaxTranscodes); err != nil {
		return err
	}
	if len(n.Engines) > 0 {
		if err := table(j.stdout, engineRows(n.Engines)); err != nil {
			return err
		}
	}
	if len(n.Streams) == 0 {
		return nil
	}
	rows := [][]string{{"STREAM", "LADDER", "STATE", "ENCODER", "RUNGS", "CPU"}}
	for _, s := range n.Streams {
		rows = append(rows, []string{
			s.Stream, unless(s.Ladder == "", "%s", s.Ladder), s.State, unless(s.Backend == "", "%s", s.Backend),
			fmt.Sprintf("%d of %d", s.Rungs, s.RungsPlanned), fmt.Sprintf("%.0f%%", s.CPU),
		})
	}
	return table(j.stdout, rows)
}

// shortVersion is the number in the first line of ffmpeg -version; "-" for none.
func shortVersion(line string) string {
	number, _, _ := strings.Cut(strings.TrimPrefix(line, "ffmpeg version "), " ")
	return unless(number == "", "%s", printable(number))
}

// engineRows is the table of the encoders that were tried.
func engineRows(engines []api.LadderEngine) [][]string {
	rows := [][]string{{"ENCODER", "DEVICE", "CODECS", "SCALES", "RESULT"}}
	for _, e := range engines {
		result := "works"
		switch {
		case !e.Works:
			result = because("failed", e.Reason)
		case e.InUse:
			result = "in use"
		}
		scales := "on the CPU"
		if e.Filters {
			scales = "by itself"
		}
		codecs := strings.Join(e.Codecs, ", ")
		rows = append(rows, []string{e.Backend, unless(e.Device == "", "%s", e.Device), unless(codecs == "", "%s", codecs), scales, result})
	}
	return rows
}

// askPlan has the node plan a stream's ladder.
func (c *ladderCommand) askPlan(j *job) error {
	j.stream = c.Name
	path := "/ladder/command"
	if c.Source != "" {
		path += "?" + url.Values{"source": {c.Source}}.Encode()
	}
	var plan api.LadderCommand
	if done, err := j.get(path, &plan); err != nil || done {
		return err
	}
	return sayPlan(j.surroundings, &plan)
}

// unless formats, or is "-" where there is nothing to say.
func unless(nothing bool, format string, args ...any) string {
	if nothing {
		return "-"
	}
	return fmt.Sprintf(format, args...)
}

// because is a state with its reason.
func because(state, reason string) string {
	if reason == "" {
		return state
	}
	return printable(state + ": " + reason)
}

// bitRate writes bits a second for people; "-" for none.
func bitRate(bps int64) string {
	switch {
	case bps <= 0:
		return "-"
	case bps < 1_000_000:
		return fmt.Sprintf("%d kbit/s", (bps+500)/1000)
	}
	return fmt.Sprintf("%.2f Mbit/s", float64(bps)/1e6)
}

// printable is a text in which nothing moves a terminal's cursor: what ffmpeg writes may quote what it was sent.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
