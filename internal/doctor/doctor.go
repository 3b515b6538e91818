// Package doctor looks a host over for what keeps a node from working, or from working well, and says what to do.
//
// Gather finds the facts, without changing anything and without root; Examine judges them, and is pure.
package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Level is how bad a finding is.
type Level string

// The levels of findings.
const (
	OK      Level = "ok"
	Warning Level = "warning" // it works, but not as well as it could, or not for long
	Problem Level = "problem" // it does not work
)

// Finding is one thing that was looked at.
type Finding struct {
	// Check names what was looked at, such as "port rtmp".
	Check string `json:"check"`
	Level Level  `json:"level"`
	// Message says in a line how it is.
	Message string `json:"message"`
	// Do says in a line what to do, with the exact command or setting; "" where there is nothing to do.
	Do string `json:"do,omitempty"`
}

// Plan is what the node is to do, as its configuration says.
type Plan struct {
	// File is the configuration's; "" where there is none. Mistakes are what is wrong with it: the rest is of the defaults then.
	File     string
	Mistakes []string
	// Listeners are all the node listens on.
	Listeners []Listener
	// Admin is where a running node is asked; "" where that is off.
	Admin string
	// MaxConnections is the sum of all limits on connections.
	MaxConnections int
	// Keys is how many stream keys there are; Authority tells that somebody else is asked who may publish; GenerateKey that the
	// node makes a key.
	Keys        int
	Authority   bool
	GenerateKey bool
	// Tokens is how many operators' tokens there are.
	Tokens int
	// TLS tells that the node serves HTTPS or another protocol with TLS by Certificate and Key.
	TLS              bool
	Certificate, Key string
	// Domains are those that certificates are made for by ACME, ACMEAddress where the proof is looked for, HTTPS where pages are
	// served with TLS; "" is off.
	Domains            []string
	ACMEAddress, HTTPS string
	// Data is the data folder.
	Data string
	// UDPBuffer is the size of the receive buffers that protocols over UDP ask for, in bytes; 0 when there are none.
	UDPBuffer int
	// DVR is how much of each stream is kept in memory.
	DVR time.Duration
	// FFmpeg is the program; "" is off. Encoders are the back-ends to be tried.
	FFmpeg   string
	Encoders []string
	// Clustered tells that the node has others beside it, Certificates is the folder of the cluster's.
	Clustered    bool
	Certificates string
	// Secrets are files with secrets in them.
	Secrets []string
	// HSTS tells that browsers are told to use HTTPS only.
	HSTS bool
}

// Listener is one address that the node listens on.
type Listener struct {
	// Name such as "rtmp", and the Setting that has the address.
	Name, Setting string
	// Network is "tcp" or "udp".
	Network string
	Address string
}

// Facts are how the host is. What could not be found out is zero.
type Facts struct {
	Now time.Time
	// OS is runtime.GOOS, Root whether this process is root's.
	OS   string
	Root bool
	// Running tells that a node answers at Plan.Admin; PID is its process, 0 when unknown.
	Running bool
	PID     int
	// Ports has one entry for each of Plan.Listeners.
	Ports []Port
	// Files is how many files a process may open: the node's where it runs, this one's otherwise; 0 when unknown.
	Files uint64
	// Kernel settings; 0 and "" when unknown.
	RmemMax, Somaxconn int
	PortRange          [2]int
	// Congestion are the TCP congestion controls that the kernel has ready.
	Congestion []string
	// Clock is how the clock is kept.
	Clock Clock
	// CPUs and Memory (bytes) that a process here may use: the cgroup's where that is less.
	CPUs           float64
	Memory         int64
	MemoryOfCgroup bool
	Container      bool
	ReadOnlyRoot   bool
	FFmpeg         *FFmpeg
	Data           Folder
	Certificate    *Certificate
	CertificateErr error
	Cluster        Folder
	ClusterNode    *Certificate
	SecretFiles    []SecretFile
	Unresolved     map[string]error // domains that have no address; nil where nobody was asked
}

// Port is what became of listening on an address for a moment.
type Port struct {
	// Free tells that it worked.
	Free bool
	// Err is why it did not; Taken tells that another socket has the address, Denied that this user may not, Absent that no
	// interface has it.
	Err                   error
	Taken, Denied, Absent bool
	// PID and Program that have it; 0 and "" when unknown.
	PID     int
	Program string
}

// Clock is how the host's clock is kept.
type Clock struct {
	// Known tells that the rest is.
	Known bool
	// Synchronised by a time server, as the kernel has it.
	Synchronised bool
	// MaxError bounds how far it is off.
	MaxError time.Duration
}

// FFmpeg is what the program can do.
type FFmpeg struct {
	// Err is why it cannot be used.
	Err error
	// Version is what it says of itself.
	Version string
	// Works are the back-ends that encode H.264, in the order in which they are tried; Fails are the others, with the reason.
	Works []string
	Fails []Failed
}

// Failed is a back-end that does not encode.
type Failed struct{ Backend, Reason string }

// Folder is a folder of the node's.
type Folder struct {
	// Exists tells that it is there; WriteErr is why nothing can be written there, or in the folder that it would be made in.
	Exists   bool
	WriteErr error
	// Free bytes on its disk, -1 when unknown, and FreeFiles.
	Free, FreeFiles int64
	// Locked tells that a process has it in use.
	Locked bool
	// Missing are files that should be there.
	Missing []string
	// Mode is its permissions.
	Mode uint32
}

// Certificate is the first of a file.
type Certificate struct {
	Names               []string
	NotBefore, NotAfter time.Time
	// ChainErr is what is wrong with the certificates behind it; KeyErr is why the key does not fit.
	ChainErr, KeyErr error
	SelfSigned       bool
}

// SecretFile is a file with secrets in it.
type SecretFile struct {
	Path string
	Mode uint32
	Err  error
}

// Examine judges facts, the worst first within a check's group, in an order that does not change.
func Examine(p *Plan, f *Facts) []Finding {
	x := &examination{plan: p, facts: f}
	for _, check := range []func(){
		x.configuration, x.ports, x.admin, x.keys, x.secrets, x.certificate, x.acme, x.data, x.ffmpeg,
		x.clock, x.files, x.buffers, x.congestion, x.backlog, x.portRange, x.memory, x.container, x.cluster,
	} {
		check()
	}
	return x.found
}

// Worst is the worst level of findings.
func Worst(found []Finding) Level {
	has := func(l Level) bool { return slices.ContainsFunc(found, func(f Finding) bool { return f.Level == l }) }
	switch {
	case has(Problem):
		return Problem
	case has(Warning):
		return Warning
	}
	return OK
}

// examination collects findings.
type examination struct {
	plan  *Plan
	facts *Facts
	found []Finding
}

func (x *examination) ok(check, format string, args ...any) {
	x.found = append(x.found, Finding{check, OK, fmt.Sprintf(format, args...), ""})
}

func (x *examination) warn(check, do, format string, args ...any) {
	x.found = append(x.found, Finding{check, Warning, fmt.Sprintf(format, args...), do})
}

func (x *examination) problem(check, do, format string, args ...any) {
	x.found = append(x.found, Finding{check, Problem, fmt.Sprintf(format, args...), do})
}

// public tells whether an address to listen on can be reached from other hosts than those of a private network.
func public(address string) bool {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return len(address) > 0 && address[0] == ':' // all interfaces
	}
	ip := at.Addr()
	return !ip.IsLoopback() && !ip.IsPrivate() && !ip.IsLinkLocalUnicast()
}

// size writes bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// span writes a time for people.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d >= time.Second:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
