package doctor

import (
	"fmt"
	"slices"
	"time"
)

const (
	// inaccurate is an error of the clock that others notice.
	inaccurate = 500 * time.Millisecond
	// spareFiles is what a node opens besides its connections.
	spareFiles = 1024
	// shortBacklog is a queue of connections that a crowd overflows.
	shortBacklog = 1024
	// fewPorts is how many ports a node may need for connections that it makes.
	fewPorts = 10000
)

func (x *examination) clock() {
	const check = "clock"
	c := x.facts.Clock
	why := "viewers' dates and scheduled cards go by it"
	if x.plan.Clustered {
		why = "dates, scheduled cards and the other nodes go by it"
	}
	switch {
	case !c.Known:
		x.warn(check, "see that a time server sets it", "whether a time server sets the clock cannot be told here")
	case !c.Synchronised && x.facts.Container:
		x.warn(check, "on the host: timedatectl", "the kernel knows of no time server, as in many containers: see that the host has one")
	case !c.Synchronised:
		x.warn(check, "sudo timedatectl set-ntp true; or sudo apt install chrony", "no time server sets the clock: %s", why)
	case c.MaxError > inaccurate:
		x.warn(check, "chronyc tracking, or timedatectl timesync-status", "the clock may be off by %s: %s", span(c.MaxError), why)
	default:
		x.ok(check, "a time server sets it, to within %s", span(c.MaxError))
	}
}

func (x *examination) files() {
	const check = "open files"
	has := x.facts.Files
	if has == 0 {
		return
	}
	need := uint64(x.plan.MaxConnections + spareFiles)
	whose := "a process here"
	if x.facts.PID != 0 {
		whose = "the running node"
	}
	if has < need {
		x.warn(check, fmt.Sprintf("in the service: LimitNOFILE=%d; in a shell: ulimit -n %d; or lower http.max_connections", need, need),
			"%s may open %d files, and the limits on connections add up to %d", whose, has, x.plan.MaxConnections)
		return
	}
	x.ok(check, "%s may open %d", whose, has)
}

func (x *examination) buffers() {
	const check = "udp buffers"
	want, has := x.plan.UDPBuffer, x.facts.RmemMax
	switch {
	case want == 0 || has == 0:
	case has < want:
		x.warn(check, fmt.Sprintf("sudo sysctl -w net.core.rmem_max=%d; for good: echo net.core.rmem_max=%d | sudo tee /etc/sysctl.d/90-pushcart.conf", want, want),
			"the kernel grants %s, and SRT, RTSP and WebRTC want %s: packets are lost when many come at once", size(int64(has)), size(int64(want)))
	default:
		x.ok(check, "the kernel grants %s", size(int64(has)))
	}
}

func (x *examination) congestion() {
	const check = "bbr"
	if x.facts.Congestion == nil {
		return
	}
	switch {
	case slices.Contains(x.facts.Congestion, "bbr"):
		x.ok(check, "the kernel has BBR")
	case x.plan.Clustered:
		x.warn(check, "sudo modprobe tcp_bbr; for good: echo tcp_bbr | sudo tee /etc/modules-load.d/pushcart.conf",
			"the kernel has no BBR ready: parts to far regions come late where packets are lost")
	default:
		x.ok(check, "the kernel has no BBR ready, which only nodes of a cluster use")
	}
}

func (x *examination) backlog() {
	has := x.facts.Somaxconn
	switch {
	case has == 0:
	case has < shortBacklog:
		x.warn("backlog", "sudo sysctl -w net.core.somaxconn=4096", "at most %d connections wait to be taken (net.core.somaxconn): a crowd that comes at once is refused", has)
	default:
		x.ok("backlog", "%d connections may wait to be taken", has)
	}
}

// portRange: the kernel must not give a port of the node's to somebody else's connection before the node starts.
func (x *examination) portRange() {
	r := x.facts.PortRange
	if r[0] == 0 {
		return
	}
	const check = "port range"
	for _, l := range x.plan.Listeners {
		if n := portOf(l.Address); n >= r[0] && n <= r[1] {
			x.warn(check, fmt.Sprintf("sudo sysctl -w net.ipv4.ip_local_reserved_ports=%d; or set %s to a port outside", n, l.Setting),
				"port %d of %s is among those that the kernel gives to outgoing connections (%d to %d): it may be taken when the node starts", n, l.Name, r[0], r[1])
			return
		}
	}
	if r[1]-r[0] < fewPorts {
		x.warn(check, `sudo sysctl -w net.ipv4.ip_local_port_range="32768 60999"`, "the kernel has only %d ports for outgoing connections", r[1]-r[0]+1)
		return
	}
	x.ok(check, "none of the node's ports is among those of outgoing connections")
}

func (x *examination) memory() {
	const check = "memory"
	has := x.facts.Memory
	if has == 0 {
		return
	}
	// The window keeps as much as the DVR and a few segments more; the rest is for buffers and the collector.
	stream := int64((x.plan.DVR+10*time.Second).Seconds()*typicalBitrate/8) * 3 / 2
	fit := int(has * 7 / 10 / stream)
	whose := "this host"
	if x.facts.MemoryOfCgroup {
		whose = "this container or service"
	}
	if fit < fewStreams {
		x.warn(check, "set hls.dvr shorter, or give it more memory", "%s has %s: with hls.dvr=%s about %d streams of 6 Mbit/s fit", whose, size(has), span(x.plan.DVR), fit)
		return
	}
	x.ok(check, "%s has %s: with hls.dvr=%s about %d streams of 6 Mbit/s fit", whose, size(has), span(x.plan.DVR), fit)
}

func (x *examination) container() {
	f := x.facts
	if f.CPUs > 0 && f.CPUs < 1 {
		x.warn("cpu", "raise the limit: docker update --cpus 2 NAME, or resources.limits.cpu", "this process may use %.2f of a CPU: parts come late when it is throttled", f.CPUs)
	}
	if f.Container && f.ReadOnlyRoot && f.Data.WriteErr == nil {
		x.ok("container", "the root file system is read-only, and the data folder is not")
	}
	if f.Container && f.Root {
		x.warn("container", "run it as another user: docker run --user 65532", "this container runs as root")
	}
}
