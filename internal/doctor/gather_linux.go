package doctor

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// host finds what the kernel says.
func (f *Facts) host(p *Plan, opt Options) {
	sys := system(opt.Root)
	f.owners(p, sys)
	f.Files = sys.files(f.PID)
	f.RmemMax = sys.number("proc/sys/net/core/rmem_max")
	f.Somaxconn = sys.number("proc/sys/net/core/somaxconn")
	fmt.Sscan(sys.text("proc/sys/net/ipv4/ip_local_port_range"), &f.PortRange[0], &f.PortRange[1])
	if list := sys.text("proc/sys/net/ipv4/tcp_available_congestion_control"); list != "" {
		f.Congestion = strings.Fields(list)
	}
	f.Clock = clock()
	f.limits(sys)
	f.Container = sys.exists(".dockerenv") || sys.exists("run/.containerenv") || os.Getenv("KUBERNETES_SERVICE_HOST") != ""
	var st unix.Statfs_t
	if unix.Statfs(opt.Root, &st) == nil {
		f.ReadOnlyRoot = st.Flags&unix.ST_RDONLY != 0
	}
}

// clock asks the kernel, without setting anything (adjtimex(2) with no modes).
func clock() Clock {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return Clock{}
	}
	return Clock{
		Known: true, Synchronised: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0,
		MaxError: time.Duration(t.Maxerror) * time.Microsecond,
	}
}

// system is the folder that has proc and sys in it.
type system string

func (s system) text(name string) string {
	b, err := readFile(filepath.Join(string(s), name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (s system) number(name string) int {
	n, _ := strconv.Atoi(s.text(name))
	return n
}

func (s system) exists(name string) bool {
	_, err := os.Stat(filepath.Join(string(s), name))
	return err == nil
}

// files is how many files a process may open; pid 0 is this one.
func (s system) files(pid int) uint64 {
	name := "proc/self/limits"
	if pid != 0 {
		name = fmt.Sprintf("proc/%d/limits", pid)
	}
	for line := range strings.Lines(s.text(name)) {
		rest, ok := strings.CutPrefix(line, "Max open files")
		// The second number is the hard limit, to which a node raises its own.
		if fields := strings.Fields(rest); ok && len(fields) >= 2 {
			n, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil && fields[1] == "unlimited" {
				return 1 << 62
			}
			return n
		}
	}
	return 0
}

// limits finds what of CPUs and memory a process may use: the kernel's, or the cgroup's (version 2, then 1) where that is less.
func (f *Facts) limits(s system) {
	f.CPUs = float64(runtime.NumCPU())
	for line := range strings.Lines(s.text("proc/meminfo")) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[0], 10, 53)
		if name == "MemTotal" {
			f.Memory = kib << 10
		}
	}
	own := ""
	for line := range strings.Lines(s.text("proc/self/cgroup")) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			own = path
		}
	}
	// A limit of any group above holds as well. In a container the own path may not be there, and the root is the container's.
	for dir := filepath.Clean("/" + own); ; dir = filepath.Dir(dir) {
		f.limit(s.text(filepath.Join("sys/fs/cgroup", dir, "memory.max")))
		f.share(strings.Fields(s.text(filepath.Join("sys/fs/cgroup", dir, "cpu.max"))))
		if dir == "/" {
			break
		}
	}
	f.limit(s.text("sys/fs/cgroup/memory/memory.limit_in_bytes"))
	f.share([]string{s.text("sys/fs/cgroup/cpu/cpu.cfs_quota_us"), s.text("sys/fs/cgroup/cpu/cpu.cfs_period_us")})
}

func (f *Facts) limit(text string) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && (f.Memory == 0 || n < f.Memory) {
		f.Memory, f.MemoryOfCgroup = n, true
	}
}

func (f *Facts) share(quota []string) {
	if len(quota) != 2 {
		return
	}
	q, err := strconv.ParseFloat(quota[0], 64)
	period, err2 := strconv.ParseFloat(quota[1], 64)
	if err == nil && err2 == nil && q > 0 && period > 0 {
		f.CPUs = min(f.CPUs, q/period)
	}
}

// owners finds who has the ports that are taken, as far as this user can see: its own processes, or all as root.
func (f *Facts) owners(p *Plan, s system) {
	wanted := map[uint64]int{} // socket to the index of the port
	for i := range f.Ports {
		if !f.Ports[i].Taken {
			continue
		}
		l := p.Listeners[i]
		for _, table := range []string{l.Network, l.Network + "6"} {
			for _, inode := range sockets(s.text("proc/net/"+table), portOf(l.Address), l.Network == "tcp") {
				wanted[inode] = i
			}
		}
	}
	if len(wanted) == 0 {
		return
	}
	names, _ := filepath.Glob(filepath.Join(string(s), "proc/[0-9]*/fd/*"))
	for _, name := range names {
		link, err := os.Readlink(name)
		if err != nil {
			continue
		}
		var inode uint64
		if _, err := fmt.Sscanf(link, "socket:[%d]", &inode); err != nil {
			continue
		}
		i, ok := wanted[inode]
		if !ok {
			continue
		}
		process := filepath.Base(filepath.Dir(filepath.Dir(name)))
		f.Ports[i].PID, _ = strconv.Atoi(process)
		f.Ports[i].Program = s.text("proc/" + process + "/comm")
		if f.Running && f.Ports[i].Program == "pushcart" {
			f.PID = f.Ports[i].PID
		}
	}
}

// sockets lists the inodes of sockets on a port in a table of /proc/net: of TCP those that listen.
func sockets(table string, port int, tcp bool) (inodes []uint64) {
	lines := bufio.NewScanner(bytes.NewReader([]byte(table)))
	for lines.Scan() {
		// sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || tcp && fields[3] != "0A" {
			continue
		}
		_, text, ok := strings.Cut(fields[1], ":")
		n, err := strconv.ParseUint(text, 16, 16)
		if !ok || err != nil || int(n) != port {
			continue
		}
		if inode, err := strconv.ParseUint(fields[9], 10, 64); err == nil && inode != 0 {
			inodes = append(inodes, inode)
		}
	}
	return inodes
}

// space tells how many bytes and files more a disk takes.
func space(dir string) (free, files int64) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return -1, -1
	}
	if st.Files == 0 {
		return int64(st.Bavail) * int64(st.Bsize), -1 // it makes files as they are needed
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Ffree)
}

// inUse tells whether a process has locked a file.
func inUse(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		unix.Flock(int(f.Fd()), unix.LOCK_UN)
	}
	return err == unix.EWOULDBLOCK
}
