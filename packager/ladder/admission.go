package ladder

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"pushcart/packager/ladder/command"
)

// What a unit of nominal cost (command.PictureJob.Cost: a megapixel a second of H.264 in mode latency) takes of a processor before
// anything was measured, on the CPU and on a GPU. The former is on the safe side: a child that is measured corrects it.
const (
	firstOnCPU = 1.0 / 70
	firstOnGPU = 1.0 / 700
	// soundCores is what a child that works on sound is taken to need until it is measured.
	soundCores = 0.03
)

const (
	// learning is the weight of a new measurement, one a second, in what a unit of cost takes.
	learning = 0.05
	// newChild is how long a child counts by estimate.
	newChild = 8 * time.Second
	// spare is how much more than it needs must be idle before a rung returns.
	spare = 1.25
	// What children were measured to take may be that many times what they may, for that long, before a rung is taken off; and so
	// long passes before the next one.
	overBy  = 1.05
	overFor = 10 * time.Second
)

// admission knows what the host has room for, by what children were measured to take.
type admission struct {
	settings func() Settings
	now      func() time.Time
	metrics  *metrics
	cores    float64

	mu      sync.Mutex // guards what follows
	perUnit map[costKind]float64
	loads   map[*job]*load
	idle    float64 // processors; negative is not known
	grower  *job    // to whom a rung came back last; nil is nobody
	grewAt  time.Time
	over    time.Time // since when children take too much, or when a rung was taken off for it; zero is not
}

// costKind is what a unit of cost depends on.
type costKind struct {
	backend command.Backend
	mode    command.Mode
}

// load is what one job takes.
type load struct {
	transcode bool
	estimate  float64 // processors
	measured  float64 // at the source's full rate
	taken     float64 // as it is; 0 before it is measured
	since     time.Time
	known     bool // measured is of use
	reserved  bool // the job does not run yet: room is being made for it
	made      *command.PictureJob
}

func (l *load) cores() float64 {
	if l.known {
		return l.measured
	}
	return l.estimate
}

func newAdmission(settings func() Settings, now func() time.Time, x *metrics) *admission {
	return &admission{
		settings: settings, now: now, metrics: x, cores: float64(runtime.NumCPU()), perUnit: map[costKind]float64{},
		loads: map[*job]*load{}, idle: -1,
	}
}

// unitLocked is what a unit of cost takes of a processor.
func (a *admission) unitLocked(k costKind) float64 {
	switch u := a.perUnit[k]; {
	case u > 0:
		return u
	case k.backend == command.CPU:
		return firstOnCPU
	}
	return firstOnGPU
}

// unitOfLocked is the same for one job, by what its child was measured to take where one runs.
func (a *admission) unitOfLocked(j *job, k costKind) float64 {
	if l := a.loads[j]; l != nil && l.known && l.made != nil && l.measured > 0 {
		return l.measured / l.made.Cost()
	}
	return a.unitLocked(k)
}

// usedLocked is what all jobs but one take.
func (a *admission) usedLocked(but *job) (cores float64, transcodes int) {
	for j, l := range a.loads {
		if j != but {
			cores += l.cores()
			transcodes += rank(l.transcode)
		}
	}
	return cores, transcodes
}

// admit finds how many of a job's outputs, of which at least off are to go, there is room for, and enters the job. granted is nil
// when there is room for none of it, and why says in a sentence what stands against the rest. A rung that comes back needs idle
// processors besides. pruned tells that the job has given up what it was asked for a moment ago: it keeps the rest, whoever else
// takes too much.
func (a *admission) admit(j *job, p *command.PictureJob, k costKind, off int, pruned bool) (granted *command.PictureJob, gone int, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	set := a.settings()
	used, transcodes := a.usedLocked(j)
	if len(p.Outputs) > 0 && set.MaxTranscodes > 0 && transcodes >= set.MaxTranscodes {
		run := fmt.Sprintf("%d transcodes run", transcodes)
		if transcodes == 1 {
			run = "1 transcode runs"
		}
		off, why = len(p.Outputs), run+" already: raise ladder.max_transcodes if the host has room for more."
	}
	budget, unit := a.cores*float64(set.MaxCPU)/100, a.unitOfLocked(j, k)
	for gone = off; gone <= len(p.Outputs); gone++ {
		if granted = p.Without(gone); granted == nil {
			break
		}
		need := granted.Cost() * unit
		if set.MaxCPU <= 0 || used+need <= budget || a.alone(granted, used) || pruned && gone == off {
			a.enterLocked(j, granted, need)
			return granted, gone, why
		}
		if why == "" {
			why = fmt.Sprintf("It needs about %.2f of the %.2f processors that ladder.max_cpu leaves to encoding, and %.2f are in use: "+
				"take rungs out of the ladder, raise max_cpu or use a larger host or a GPU.", granted.Cost()*unit, budget, used)
		}
	}
	delete(a.loads, j)
	if transcodes < set.MaxTranscodes || set.MaxTranscodes <= 0 {
		a.makeRoomLocked(j, p, k)
	}
	return nil, len(p.Outputs), why
}

// makeRoomLocked reserves room for what viewers need of a job, and asks the job with the costliest output that is nobody's need to
// begin anew without it: what it gets then is reckoned with the reservation.
func (a *admission) makeRoomLocked(j *job, p *command.PictureJob, k costKind) {
	need := *p
	need.Outputs = slices.DeleteFunc(slices.Clone(p.Outputs), func(o command.Output) bool { return !o.StandsIn })
	if len(need.Outputs) == 0 {
		return
	}
	var victim *job
	most := 0.0
	for other, l := range a.loads {
		if l.made == nil {
			continue
		}
		for _, o := range l.made.Outputs {
			if c := o.Cost(l.made.Mode); !o.StandsIn && c > most {
				victim, most = other, c
			}
		}
	}
	if victim == nil {
		return
	}
	a.loads[j] = &load{estimate: need.Cost() * a.unitLocked(k), since: a.now(), reserved: true}
	victim.yield.Store(true)
	victim.signal()
}

// alone tells whether a job is the only one, and no more than what a viewer needs or a poster: it is tried, since the estimate may be
// wrong, and there is nobody whom it would cost something.
func (a *admission) alone(p *command.PictureJob, used float64) bool {
	return used < 0.1 && len(p.Outputs) <= 1 && !slices.ContainsFunc(p.Outputs, func(o command.Output) bool { return !o.StandsIn })
}

func (a *admission) enterLocked(j *job, p *command.PictureJob, need float64) {
	a.loads[j] = &load{transcode: len(p.Outputs) > 0, estimate: need, since: a.now(), made: p}
}

// enterSound enters a job that works on sound. There is always room for one of a stream, without which there would be no show; further
// ones count like anybody. why says in a sentence what stands against it, "" when nothing does.
func (a *admission) enterSound(j *job, needed bool) (why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	set := a.settings()
	used, _ := a.usedLocked(j)
	if budget := a.cores * float64(set.MaxCPU) / 100; !needed && set.MaxCPU > 0 && used+soundCores > budget {
		delete(a.loads, j)
		return fmt.Sprintf("There is no room for further tracks of sound: %.2f of the %.2f processors that ladder.max_cpu leaves to encoding are in use.", used, budget)
	}
	a.loads[j] = &load{estimate: soundCores, since: a.now()}
	return ""
}

// leave takes a job out that has no child any more.
func (a *admission) leave(j *job) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.loads, j)
	if a.grower == j {
		a.grower = nil
	}
}

// takes tells what a job's child takes of the processors now.
func (a *admission) takes(j *job, cores float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.loads[j]; l != nil && a.now().Sub(l.since) >= newChild {
		l.taken = cores
	}
}

// trimLocked asks for a rung of the job that takes most when all together have taken more than they may for some time: max_cpu was
// lowered, or an estimate was too low. What viewers need goes when there is nothing else, and never all of it.
func (a *admission) trimLocked() {
	set, now := a.settings(), a.now()
	budget, taken, transcodes := a.cores*float64(set.MaxCPU)/100, 0.0, 0
	for _, l := range a.loads {
		taken += l.taken
		transcodes += rank(l.transcode)
	}
	switch {
	case set.MaxCPU <= 0 || taken <= overBy*budget:
		a.over = time.Time{}
		return
	case a.over.IsZero():
		a.over = now
	}
	if now.Sub(a.over) < overFor {
		return
	}
	a.over = now
	victim := a.heaviestLocked(func(o command.Output) bool { return !o.StandsIn })
	if victim == nil && transcodes > 1 {
		victim = a.heaviestLocked(func(command.Output) bool { return true })
	}
	if victim == nil {
		return
	}
	why := fmt.Sprintf("Encoding took %.2f processors, of which ladder.max_cpu leaves it %.2f: take rungs out of the ladder, raise max_cpu or "+
		"use a larger host or a GPU.", taken, budget)
	victim.prune.Store(&why)
	victim.signal()
}

// heaviestLocked is the job that takes most of those with an output that may go; nil is none.
func (a *admission) heaviestLocked(may func(command.Output) bool) (found *job) {
	most := 0.0
	for j, l := range a.loads {
		if l.made != nil && l.taken > most && slices.ContainsFunc(l.made.Outputs, may) {
			found, most = j, l.taken
		}
	}
	return found
}

// measure tells what a job's child takes of the processors, and what a unit of cost takes, when the child keeps up: one that does
// not takes less than it needs.
func (a *admission) measure(j *job, p *command.PictureJob, k costKind, cores float64, keepsUp bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.loads[j]
	if l == nil || a.now().Sub(l.since) < newChild {
		return
	}
	l.measured, l.known = cores, true
	if p == nil || !keepsUp || len(p.Outputs) == 0 {
		return
	}
	if unit := cores / p.Cost(); unit > 0 {
		u := a.unitLocked(k)
		a.perUnit[k] = u + (unit-u)*learning
	}
}

// fits tells whether there is room for a job in another form.
func (a *admission) fits(j *job, to *command.PictureJob, k costKind) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	set := a.settings()
	used, transcodes := a.usedLocked(j)
	if len(to.Outputs) > 0 && set.MaxTranscodes > 0 && transcodes >= set.MaxTranscodes {
		return false
	}
	return set.MaxCPU <= 0 || used+to.Cost()*a.unitOfLocked(j, k) <= a.cores*float64(set.MaxCPU)/100
}

// spares tells whether the host leaves enough unused for a job to grow from one form to another; from is nil while it does not run.
// One job grows at a time: what it takes then has to be seen first, or all those that gave something up in the same moment would
// come back in the same moment.
func (a *admission) spares(j *job, from, to *command.PictureJob, k costKind) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.grower != nil && a.grower != j && now.Sub(a.grewAt) < newChild {
		return false
	}
	more := to.Cost()
	if from != nil {
		more -= from.Cost()
	}
	if a.idle >= 0 && a.idle < more*a.unitLocked(k)*spare {
		return false
	}
	a.grower, a.grewAt = j, now
	return true
}

// look takes a sample of the host, and looks whether its children take too much.
func (a *admission) look(host hostFunc) {
	idle, ok := host()
	if !ok {
		idle = -1
	}
	a.mu.Lock()
	a.idle = idle
	a.trimLocked()
	a.mu.Unlock()
}

func (a *admission) describe(in *NodeInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	in.Budget, in.Idle = a.cores*float64(a.settings().MaxCPU)/100, a.idle
	in.Used, in.Transcodes = a.usedLocked(nil)
	for _, l := range a.loads {
		in.Children += 1 - rank(l.reserved)
	}
}
