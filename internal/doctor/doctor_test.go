package doctor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// well is a plan and facts with which all is well.
func well() (*Plan, *Facts) {
	p := &Plan{
		File: "pushcart.yaml", Listeners: []Listener{{"rtmp", "rtmp.address", "tcp", ":1935"}, {"srt", "srt.address", "udp", ":8890"}},
		Admin: "127.0.0.1:9090", MaxConnections: 25000, Keys: 1, Tokens: 1, TLS: true, Certificate: "cert.pem", Key: "key.pem",
		Data: "data", UDPBuffer: 4 << 20, DVR: time.Minute, FFmpeg: "ffmpeg", Encoders: []string{"nvenc", "cpu"}, Secrets: []string{"pushcart.yaml"},
		Clustered: true, Certificates: "cluster",
	}
	good := func() *Certificate {
		return &Certificate{Names: []string{"live.example.com"}, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(60 * 24 * time.Hour)}
	}
	f := &Facts{
		Now: noon, OS: "linux", Ports: []Port{{Free: true}, {Free: true}}, Files: 524288, RmemMax: 8 << 20, Somaxconn: 4096,
		PortRange: [2]int{32768, 60999}, Congestion: []string{"cubic", "bbr"}, Clock: Clock{Known: true, Synchronised: true, MaxError: 20 * time.Millisecond},
		CPUs: 4, Memory: 8 << 30, FFmpeg: &FFmpeg{Version: "ffmpeg version 7.1", Works: []string{"cpu"}, Fails: []Failed{{"nvenc", "no GPU"}}},
		Data: Folder{Exists: true, Free: 100 << 30, FreeFiles: 1e6, Mode: 0o700}, Certificate: good(), ClusterNode: good(),
		SecretFiles: []SecretFile{{Path: "pushcart.yaml", Mode: 0o600}},
	}
	return p, f
}

// TestFindings changes one thing at a time: the one finding that this makes is there, and no other that is worse than before.
func TestFindings(t *testing.T) {
	t.Parallel()
	p, f := well()
	for _, x := range Examine(p, f) {
		if x.Level != OK || x.Do != "" || x.Message == "" {
			t.Errorf("all is well, but: %+v", x)
		}
	}
	cases := []struct {
		what    string
		change  func(*Plan, *Facts)
		level   Level
		check   string
		message string // that the finding has
		do      string // that what to do has
	}{
		{"a mistake", func(p *Plan, f *Facts) { p.Mistakes = []string{"pushcart.yaml:3: hls.dvr: no"} }, Problem, "configuration", "hls.dvr", "pushcart check pushcart.yaml"},
		{"another program has a port", func(p *Plan, f *Facts) {
			f.Ports[0] = Port{Err: errors.New("in use"), Taken: true, PID: 17, Program: "nginx\x1b[2J"}
		}, Problem, "port rtmp", "taken by nginx [2J (process 17)", "rtmp.address"},
		{"nobody knows who has it", func(p *Plan, f *Facts) { f.Ports[1] = Port{Taken: true} }, Problem, "port srt", "UDP :8890 is taken", "sudo ss -lunp 'sport = :8890'"},
		{"a node that hangs", func(p *Plan, f *Facts) { f.Ports[0] = Port{Taken: true, PID: 9, Program: "pushcart"} }, Problem, "port rtmp", "another pushcart", "kill 9"},
		{"the running node", func(p *Plan, f *Facts) {
			f.Running, f.PID = true, 9
			f.Ports = []Port{{Taken: true, PID: 9, Program: "pushcart"}, {Taken: true}}
		}, OK, "port rtmp", "the running node's", ""},
		{"it runs as another user", func(p *Plan, f *Facts) { f.Running, f.Ports = true, []Port{{Taken: true}, {Taken: true}} }, OK, "port srt", "as it seems", ""},
		{"it does not listen", func(p *Plan, f *Facts) { f.Running, f.Ports[1] = true, Port{Taken: true} }, Warning, "port rtmp", "does not listen", "restart"},
		{"a low port", func(p *Plan, f *Facts) { f.Ports[0] = Port{Err: errors.New("permission denied"), Denied: true} }, Problem, "port rtmp", "below 1024", "ip_unprivileged_port_start"},
		{"no such address", func(p *Plan, f *Facts) { f.Ports[0] = Port{Absent: true} }, Problem, "port rtmp", "not an address of this host", "rtmp.address"},
		{"something else", func(p *Plan, f *Facts) { f.Ports[0] = Port{Err: errors.New("odd")} }, Problem, "port rtmp", "odd", "rtmp.address"},
		{"public admin port", func(p *Plan, f *Facts) { p.Admin = ":9090" }, Warning, "admin", "other hosts", "127.0.0.1:9090"},
		{"admin port by address", func(p *Plan, f *Facts) { p.Admin = "203.0.113.7:9090" }, Warning, "admin", "other hosts", "127.0.0.1:9090"},
		{"private admin port", func(p *Plan, f *Facts) { p.Admin = "10.1.2.3:9090" }, OK, "admin", "private", ""},
		{"admin port of a container", func(p *Plan, f *Facts) { p.Admin, f.Container = "0.0.0.0:9090", true }, OK, "admin", "do not publish", ""},
		{"no admin port", func(p *Plan, f *Facts) { p.Admin = "" }, Warning, "admin", "off", "admin.address"},
		{"no keys", func(p *Plan, f *Facts) { p.Keys = 0 }, Warning, "stream keys", "no stream keys", "PUSHCART_PUBLISH_KEYS"},
		{"a made key", func(p *Plan, f *Facts) { p.Keys, p.GenerateKey = 0, true }, Warning, "stream keys", "another stream key", "publish.keys"},
		{"an authority", func(p *Plan, f *Facts) { p.Keys, p.Authority = 0, true }, OK, "stream keys", "need a key", ""},
		{"no tokens", func(p *Plan, f *Facts) { p.Tokens = 0 }, OK, "operator token", "data/operator.token", ""},
		{"readable secrets", func(p *Plan, f *Facts) { f.SecretFiles[0].Mode = 0o644 }, Problem, "secrets", "every user", "chmod 600 pushcart.yaml"},
		{"changeable secrets", func(p *Plan, f *Facts) { f.SecretFiles[0].Mode = 0o660 }, Warning, "secrets", "a group", "chmod g-w"},
		{"no such secrets", func(p *Plan, f *Facts) { f.SecretFiles[0].Err = errors.New("no such file") }, Problem, "secrets", "no such file", "setting"},
		{"no certificate", func(p *Plan, f *Facts) { f.Certificate, f.CertificateErr = nil, errors.New("no such file") }, Problem, "certificate", "no such file", "tls.certificate"},
		{"an old certificate", func(p *Plan, f *Facts) { f.Certificate.NotAfter = noon.Add(-72 * time.Hour) }, Problem, "certificate", "ended 3 days ago", "renew"},
		{"a certificate that ends soon", func(p *Plan, f *Facts) { f.Certificate.NotAfter = noon.Add(5 * 24 * time.Hour) }, Warning, "certificate", "ends in 5 days", "renew"},
		{"an early certificate", func(p *Plan, f *Facts) { f.Certificate.NotBefore = noon.Add(time.Hour) }, Problem, "certificate", "good from", "clock"},
		{"another key", func(p *Plan, f *Facts) { f.Certificate.KeyErr = errors.New("does not match") }, Problem, "certificate", "does not match", "tls.key"},
		{"no names", func(p *Plan, f *Facts) { f.Certificate.Names = nil }, Problem, "certificate", "no host name", "subject alternative name"},
		{"self-signed", func(p *Plan, f *Facts) { f.Certificate.SelfSigned = true }, Warning, "certificate", "by itself", "acme.domains"},
		{"no chain", func(p *Plan, f *Facts) { f.Certificate.ChainErr = errors.New("unknown authority") }, Warning, "certificate", "unknown authority", "fullchain"},
		{"HSTS without TLS", func(p *Plan, f *Facts) { p.TLS, p.HSTS = false, true }, Problem, "certificate", "http.hsts", "http.tls_address"},
		{"ACME without ports", func(p *Plan, f *Facts) { p.Domains, p.ACMEAddress, p.HTTPS = []string{"a.example"}, "", ":8443" }, Warning, "acme", "80 or 443", "acme.http_address"},
		{"ACME", func(p *Plan, f *Facts) { p.Domains, p.ACMEAddress = []string{"a.example"}, ":80" }, OK, "acme", "--online", ""},
		{"ACME without a record", func(p *Plan, f *Facts) {
			p.Domains, p.ACMEAddress, f.Unresolved = []string{"a.example"}, ":80", map[string]error{"a.example": errors.New("no such host")}
		}, Problem, "acme", "no such host", "A or AAAA"},
		{"a data folder of another user", func(p *Plan, f *Facts) { f.Data.WriteErr = errors.New("permission denied") }, Problem, "data folder", "permission denied", "chown"},
		{"little room", func(p *Plan, f *Facts) { f.Data.Free = 500 << 20 }, Warning, "data folder", "500 MiB", "room"},
		{"no room", func(p *Plan, f *Facts) { f.Data.Free = 5 << 20 }, Problem, "data folder", "5 MiB", "room"},
		{"no more files", func(p *Plan, f *Facts) { f.Data.FreeFiles = 3 }, Warning, "data folder", "3 more files", "df -i"},
		{"an open data folder", func(p *Plan, f *Facts) { f.Data.Mode = 0o755 }, Warning, "data folder", "every user", "chmod 700"},
		{"a shared data folder", func(p *Plan, f *Facts) { f.Data.Locked = true }, Problem, "data folder", "another process", "data.directory"},
		{"the node's own", func(p *Plan, f *Facts) {
			f.Data.Locked, f.Running, f.Ports = true, true, []Port{{Taken: true}, {Taken: true}}
		}, OK, "data folder", "can be written", ""},
		{"no ffmpeg", func(p *Plan, f *Facts) { f.FFmpeg = &FFmpeg{Err: errors.New("not found")} }, Warning, "ffmpeg", "not found", "install"},
		{"ffmpeg is off", func(p *Plan, f *Facts) { p.FFmpeg, f.FFmpeg = "", nil }, OK, "ffmpeg", "off", ""},
		{"no encoders", func(p *Plan, f *Facts) { f.FFmpeg.Works = nil }, Problem, "encoders", "none of nvenc, cpu", "libx264"},
		{"no time server", func(p *Plan, f *Facts) { f.Clock.Synchronised = false }, Warning, "clock", "other nodes", "set-ntp"},
		{"no time server in a container", func(p *Plan, f *Facts) { f.Clock.Synchronised, f.Container = false, true }, Warning, "clock", "containers", "host"},
		{"nobody knows", func(p *Plan, f *Facts) { f.Clock.Known = false }, Warning, "clock", "cannot be told", "time server"},
		{"a bad clock", func(p *Plan, f *Facts) { f.Clock.MaxError = 3 * time.Second }, Warning, "clock", "3 s", "chronyc"},
		{"few files", func(p *Plan, f *Facts) { f.Files = 1024 }, Warning, "open files", "1024", "LimitNOFILE=26024"},
		{"few files of the node", func(p *Plan, f *Facts) {
			f.Files, f.PID, f.Running, f.Ports = 1024, 9, true, []Port{{Taken: true}, {Taken: true}}
		}, Warning, "open files", "the running node", "LimitNOFILE"},
		{"small buffers", func(p *Plan, f *Facts) { f.RmemMax = 212992 }, Warning, "udp buffers", "208 KiB", "net.core.rmem_max=4194304"},
		{"no BBR", func(p *Plan, f *Facts) { f.Congestion = []string{"reno", "cubic"} }, Warning, "bbr", "no BBR", "modprobe tcp_bbr"},
		{"no BBR by itself", func(p *Plan, f *Facts) { f.Congestion, p.Clustered = []string{"cubic"}, false }, OK, "bbr", "only nodes of a cluster", ""},
		{"short backlog", func(p *Plan, f *Facts) { f.Somaxconn = 128 }, Warning, "backlog", "128", "net.core.somaxconn=4096"},
		{"a port in the range", func(p *Plan, f *Facts) { f.PortRange = [2]int{1024, 65535} }, Warning, "port range", "port 1935 of rtmp", "ip_local_reserved_ports=1935"},
		{"few ports", func(p *Plan, f *Facts) { f.PortRange = [2]int{60000, 60999} }, Warning, "port range", "1000 ports", "ip_local_port_range"},
		{"little memory", func(p *Plan, f *Facts) { f.Memory, f.MemoryOfCgroup = 256<<20, true }, Warning, "memory", "container or service has 256 MiB", "hls.dvr"},
		{"a long window", func(p *Plan, f *Facts) { p.DVR = 6 * time.Hour }, Warning, "memory", "6 hours", "hls.dvr"},
		{"half a CPU", func(p *Plan, f *Facts) { f.CPUs = 0.5 }, Warning, "cpu", "0.50", "--cpus"},
		{"root in a container", func(p *Plan, f *Facts) { f.Container, f.Root = true, true }, Warning, "container", "root", "--user"},
		{"a read-only container", func(p *Plan, f *Facts) { f.Container, f.ReadOnlyRoot = true, true }, OK, "container", "read-only", ""},
		{"no cluster certificates", func(p *Plan, f *Facts) { f.Cluster.Missing = []string{"node.key"} }, Problem, "cluster", "node.key", "pushcart ca issue"},
		{"an unreadable one", func(p *Plan, f *Facts) { f.ClusterNode = nil }, Warning, "cluster", "cannot be read", "pushcart ca show"},
		{"an old one", func(p *Plan, f *Facts) { f.ClusterNode.NotAfter = noon.Add(-time.Minute) }, Problem, "cluster", "ended", "pushcart ca issue"},
	}
	for _, c := range cases {
		p, f := well()
		c.change(p, f)
		hit := 0
		for _, x := range Examine(p, f) {
			if x.Check == c.check && x.Level == c.level && strings.Contains(x.Message, c.message) && strings.Contains(x.Do, c.do) {
				hit++
				continue
			}
			if x.Level != OK {
				t.Errorf("%s: there is also %+v", c.what, x)
			}
			if x.Level != OK && x.Do == "" {
				t.Errorf("%s: it does not say what to do: %+v", c.what, x)
			}
		}
		if hit != 1 {
			t.Errorf("%s: found %d times in %+v", c.what, hit, Examine(p, f))
		}
		if got := Worst(Examine(p, f)); got != c.level {
			t.Errorf("%s: the worst is %s", c.what, got)
		}
	}
}

// TestPlain: whatever other programs say, a finding is one line of plain text.
func TestPlain(t *testing.T) {
	t.Parallel()
	bad := "x\x1b]0;title\x07\r\n\u202e\u2028\u0085y" + strings.Repeat("z", 1000)
	p, f := well()
	f.FFmpeg = &FFmpeg{Version: bad, Works: []string{"cpu"}, Fails: []Failed{{"qsv", bad}}}
	f.Certificate.Names = []string{bad}
	f.Ports[0] = Port{Taken: true, PID: 3, Program: bad}
	for _, x := range Examine(p, f) {
		for _, r := range x.Message + x.Do {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e || r == 0x2028 {
				t.Errorf("%q", x.Message)
				break
			}
		}
		if len(x.Message) > 400 {
			t.Errorf("%d bytes: %.80s", len(x.Message), x.Message)
		}
	}
}

func ExampleWorst() {
	fmt.Println(Worst([]Finding{{Level: OK}, {Level: Problem}, {Level: Warning}}), Worst(nil))
	// Output: problem ok
}
