package ladder

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// hostFunc tells how many processors the host left unused since the call before; false when that is not known.
type hostFunc func() (idle float64, ok bool)

// procStat reads the times of all processors from Linux's /proc/stat. It is for one goroutine.
type procStat struct {
	file        string
	idle, total uint64
}

func newProcStat() *procStat { return &procStat{file: "/proc/stat"} }

func (p *procStat) sample() (float64, bool) {
	b, err := os.ReadFile(p.file)
	if err != nil {
		return 0, false
	}
	idle, total, ok := parseStat(string(b))
	if !ok {
		return 0, false
	}
	was := *p
	p.idle, p.total = idle, total
	if was.total == 0 || total <= was.total || idle < was.idle {
		return 0, false
	}
	return float64(runtime.NumCPU()) * float64(idle-was.idle) / float64(total-was.total), true
}

// parseStat reads the first line of /proc/stat (proc_stat(5)):
//
//	cpu user nice system idle iowait irq softirq steal guest guest_nice
//
// in ticks since the start; guest times are part of user and nice.
func parseStat(text string) (idle, total uint64, ok bool) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 5 || fields[0] != "cpu" {
		return 0, 0, false
	}
	for i, f := range fields[1:min(9, len(fields))] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, 0, false
		}
		total += n
		if i == 3 || i == 4 {
			idle += n
		}
	}
	return idle, total, true
}
