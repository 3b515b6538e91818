package ladder

import (
	"fmt"
	"slices"
	"strings"

	"pushcart/packager/ladder/command"
)

// advise says what could be done better about a stream's ladder.
func (m *Manager) advise(l *Ladder) []string {
	select {
	case <-m.ready:
	default:
		return nil
	}
	if problem := m.engines.trouble(true); problem != "" && m.needs(l) {
		return []string{m.adviseTrouble()}
	}
	var out []string
	in := l.info()
	for i := range in.Jobs {
		out = append(out, m.adviseJob(l.name, &in.Jobs[i])...)
	}
	out = append(out, adviseOff(in.Rungs)...)
	return append(out, in.Notes...)
}

// needs tells whether something is to be made of the stream besides posters.
func (m *Manager) needs(l *Ladder) bool {
	set := m.opt.Settings()
	ladder := set.choose(l.name, l.s.Ladder())
	l.mu.Lock()
	defer l.mu.Unlock()
	p := command.MakePlan(l.all, ladder, command.PlanOptions{Convert: set.Convert})
	return p.Picture != nil && len(p.Picture.Outputs) > 0 || len(p.Sound) > 0
}

// adviseTrouble says what is missing. Advice is for everybody: where the program is and what it said are for the operator, in Node.
func (m *Manager) adviseTrouble() string {
	repair := "add cpu to it and start the node again, or repair the GPU's driver, which is found within a minute."
	if slices.Contains(m.opt.Settings().Encoders, command.CPU) {
		repair = "install an ffmpeg with libx264, or repair the GPU's driver: both are found within a minute."
	}
	if m.engines.usable(false) {
		return "No renditions of the picture are made, because no encoder of ladder.encoders works on this host: " + repair
	}
	return "No renditions are made, because the program of ladder.ffmpeg cannot be used: install ffmpeg, which is found within a minute, or correct ladder.ffmpeg and start the node again."
}

func (m *Manager) adviseJob(stream string, j *JobInfo) []string {
	var out []string
	kind := "sound"
	if j.Picture {
		kind = "picture"
	}
	if j.State == Failed && j.LastError != "" {
		out = append(out, fmt.Sprintf("The renditions of the %s fail: they are tried again; `pushcart ladder` shows ffmpeg's last lines.", kind))
	}
	if j.State == Overloaded && j.PID != 0 {
		out = append(out, "ffmpeg cannot keep up with what viewers need to play the stream at all: send a smaller picture or H.264, or use a larger host or a GPU.")
	}
	if !j.Picture {
		return out
	}
	if only, all := m.engines.asideAll(stream); all && !m.hopes(stream) {
		if only == command.CPU {
			return out
		}
		out = append(out, fmt.Sprintf("The encoder %s failed, and ladder.encoders names no other one that works: add cpu to it, or repair the GPU's driver.", only))
	} else if aside := m.engines.asideNow(stream); len(aside) > 0 && !slices.Contains(aside, j.Engine) {
		out = append(out, fmt.Sprintf("The encoder %s failed and is set aside for some minutes; %s encodes instead. Look after the GPU and its driver.",
			strings.Join(aside, " and "), orSome(j.Engine)))
	}
	return out
}

func orSome(engine string) string {
	if engine == "" {
		return "another one"
	}
	return engine
}

// adviseOff tells of rungs that were taken off, those with the same cause in one sentence.
func adviseOff(rungs []RungInfo) []string {
	var out, order []string
	names := map[string][]string{}
	for _, r := range rungs {
		if r.Off == "" {
			continue
		}
		if names[r.Off] == nil {
			order = append(order, r.Off)
		}
		names[r.Off] = append(names[r.Off], r.Name)
	}
	for _, why := range order {
		what := "The rendition " + names[why][0] + " is"
		if len(names[why]) > 1 {
			what = "The renditions " + strings.Join(names[why], ", ") + " are"
		}
		out = append(out, fmt.Sprintf("%s not made: %s", what, lowerFirst(why)))
	}
	return out
}

// lowerFirst makes a sentence the second half of another. Names that begin with two capitals stay.
func lowerFirst(s string) string {
	if len(s) < 2 || s[1] >= 'A' && s[1] <= 'Z' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
