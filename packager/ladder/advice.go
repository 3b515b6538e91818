package ladder

import (
	"fmt"
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
		return []string{m.adviseTrouble(l, problem)}
	}
	var out []string
	in := l.info()
	for i := range in.Jobs {
		out = append(out, m.adviseJob(&in.Jobs[i])...)
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

func (m *Manager) adviseTrouble(l *Ladder, problem string) string {
	set := m.opt.Settings()
	if m.engines.usable(false) {
		return fmt.Sprintf("No renditions of the picture are made, because %s: add cpu to ladder.encoders, or repair the GPU's driver, and start the node again.", problem)
	}
	return fmt.Sprintf("No renditions are made, because %s cannot be used (%s): install ffmpeg or correct ladder.ffmpeg, and start the node again.",
		set.Program, strings.TrimSuffix(problem, "."))
}

func (m *Manager) adviseJob(j *JobInfo) []string {
	var out []string
	kind := "sound"
	if j.Picture {
		kind = "picture"
	}
	if j.State == Failed && j.LastError != "" {
		out = append(out, fmt.Sprintf("The renditions of the %s fail (%s): they are tried again; `pushcart ladder` shows ffmpeg's last lines.",
			kind, strings.TrimSuffix(j.LastError, ".")))
	}
	if j.State == Overloaded && j.PID != 0 {
		out = append(out, "ffmpeg cannot keep up with what viewers need to play the stream at all: send a smaller picture or H.264, or use a larger host or a GPU.")
	}
	if !j.Picture {
		return out
	}
	if only, all := m.engines.asideAll(); all {
		if only == command.CPU {
			return out
		}
		out = append(out, fmt.Sprintf("The encoder %s failed, and ladder.encoders names no other one that works: add cpu to it, or repair the GPU's driver.", only))
	} else if aside := m.engines.asideNow(); len(aside) > 0 {
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
