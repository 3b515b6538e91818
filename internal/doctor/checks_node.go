package doctor

import (
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	// soonExpires is how long before its end a certificate is spoken of.
	soonExpires = 21 * 24 * time.Hour
	// littleSpace and leastSpace are how much of the data folder's disk should be free, in bytes.
	littleSpace = 1 << 30
	leastSpace  = 64 << 20
	fewFiles    = 1000
	// typicalBitrate is what a publisher is taken to send, in bit/s.
	typicalBitrate = 6_000_000
	// fewStreams is how many streams should fit into memory.
	fewStreams = 4
)

func (x *examination) configuration() {
	file := x.plan.File
	if file == "" {
		file = "the environment"
	}
	for _, m := range x.plan.Mistakes {
		x.problem("configuration", "mend it, and look again with: pushcart check "+x.plan.File, "%s", m)
	}
	if len(x.plan.Mistakes) == 0 {
		x.ok("configuration", "%s can be used", file)
	}
}

// ports: each is free, or the running node's.
func (x *examination) ports() {
	for i, l := range x.plan.Listeners {
		if i >= len(x.facts.Ports) {
			break
		}
		x.port(l, &x.facts.Ports[i])
	}
}

func (x *examination) port(l Listener, p *Port) {
	check := "port " + l.Name
	what := fmt.Sprintf("%s %s", strings.ToUpper(l.Network), l.Address)
	_, number, _ := net.SplitHostPort(l.Address)
	who := map[string]string{"tcp": "ss -ltnp", "udp": "ss -lunp"}[l.Network]
	look := fmt.Sprintf("see who has it: sudo %s 'sport = :%s'; stop that, or set %s", who, number, l.Setting)
	switch {
	case p.Free && x.facts.Running:
		x.warn(check, "restart the node if the setting "+l.Setting+" was changed", "%s is free although a node is running: it does not listen there", what)
	case p.Free:
		x.ok(check, "%s is free", what)
	case p.Taken && x.facts.PID != 0 && p.PID == x.facts.PID, p.Taken && x.facts.Running && p.Program == "pushcart":
		x.ok(check, "%s is the running node's", what)
	case p.Taken && p.PID != 0 && p.Program == "pushcart":
		x.problem(check, fmt.Sprintf("stop it: kill %d; or set %s", p.PID, l.Setting), "%s is taken by another pushcart (process %d), which does not answer at the admin address", what, p.PID)
	case p.Taken && p.PID != 0:
		x.problem(check, fmt.Sprintf("stop it, or set %s", l.Setting), "%s is taken by %s (process %d)", what, clean(p.Program), p.PID)
	case p.Taken && x.facts.Running:
		x.ok(check, "%s is taken, by the running node as it seems", what)
	case p.Taken:
		x.problem(check, look, "%s is taken by a program that cannot be seen from this user", what)
	case p.Denied:
		x.problem(check, "allow it: sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80; or set "+l.Setting+" to a port above 1023",
			"%s is not for this user: ports below 1024 are root's", what)
	case p.Absent:
		x.problem(check, "set "+l.Setting+" to an address of this host (ip addr), or leave the host out for all", "%s is not an address of this host", what)
	default:
		x.problem(check, "set "+l.Setting, "%s cannot be listened on: %v", what, p.Err)
	}
}

func (x *examination) admin() {
	switch {
	case x.plan.Admin == "":
		x.warn("admin", "set admin.address to 127.0.0.1:9090", "the admin port is off: there are no metrics and no health checks")
	case public(x.plan.Admin) && x.facts.Container:
		x.ok("admin", "the admin port is open on all of the container's interfaces (%s): do not publish it", x.plan.Admin)
	case public(x.plan.Admin):
		x.warn("admin", "set admin.address to 127.0.0.1:9090, or let a firewall keep others out",
			"the admin port %s can be reached from other hosts: it has profiles and metrics, and asks nobody who they are", x.plan.Admin)
	default:
		x.ok("admin", "the admin port is for this host or a private network only")
	}
}

func (x *examination) keys() {
	p := x.plan
	switch {
	case p.Keys > 0 || p.Authority:
		x.ok("stream keys", "publishers need a key")
	case p.GenerateKey:
		x.warn("stream keys", "set publish.keys, or PUSHCART_PUBLISH_KEYS=show1=$(openssl rand -hex 16)", "the node makes another stream key with each start, and writes it to its log")
	default:
		x.warn("stream keys", "set publish.keys, or PUSHCART_PUBLISH_KEYS=show1=$(openssl rand -hex 16)",
			"there are no stream keys: whoever is on this host may publish, and nobody else")
	}
	if p.Tokens == 0 {
		x.ok("operator token", "the node makes one: %s/operator.token", p.Data)
	}
}

func (x *examination) secrets() {
	bad := false
	for _, f := range x.facts.SecretFiles {
		switch {
		case f.Err != nil:
			bad = true
			x.problem("secrets", "mend the setting that names it, or its permissions", "%s cannot be read: %v", f.Path, f.Err)
		case f.Mode&0o007 != 0:
			bad = true
			x.problem("secrets", "chmod 600 "+f.Path, "every user of this host can read %s, which has secrets in it (mode %04o)", f.Path, f.Mode&0o777)
		case f.Mode&0o020 != 0:
			bad = true
			x.warn("secrets", "chmod g-w "+f.Path, "a group can change %s, which has secrets in it (mode %04o)", f.Path, f.Mode&0o777)
		}
	}
	if n := len(x.facts.SecretFiles); n > 0 && !bad {
		x.ok("secrets", "files with secrets are not for everybody (%d)", n)
	}
}

func (x *examination) certificate() {
	const check = "certificate"
	if !x.plan.TLS || len(x.plan.Domains) > 0 {
		if x.plan.HSTS && !x.plan.TLS {
			x.problem(check, "set http.tls_address and tls.certificate, or http.hsts to 0", "browsers are told to use HTTPS only (http.hsts), which the node does not serve")
		}
		return
	}
	c, err := x.facts.Certificate, x.facts.CertificateErr
	if err != nil || c == nil {
		x.problem(check, "set tls.certificate and tls.key to PEM files that the node's user can read", "it cannot be used: %v", err)
		return
	}
	x.certificateDates(check, c, "renew it and put it in place of "+x.plan.Certificate+": the node takes it up by itself")
	switch {
	case c.KeyErr != nil:
		x.problem(check, "set tls.key to the key that the certificate was made with", "the key does not fit: %v", c.KeyErr)
	case len(c.Names) == 0:
		x.problem(check, "have it made with the host's name as subject alternative name", "it is for no host name: browsers refuse it")
	case c.SelfSigned:
		x.warn(check, "get one that browsers know, such as with acme.domains", "it is signed by itself: browsers and encoders refuse it unless they are told")
	case c.ChainErr != nil:
		x.warn(check, "put the intermediate certificates behind it in "+x.plan.Certificate+" (the file that authorities call fullchain)", "it does not lead to an authority that this host knows: %v", c.ChainErr)
	}
}

// certificateDates judges when a certificate is good.
func (x *examination) certificateDates(check string, c *Certificate, renew string) {
	now := x.facts.Now
	names := strings.Join(c.Names, ", ")
	switch left := c.NotAfter.Sub(now); {
	case now.Before(c.NotBefore):
		x.problem(check, "wait, or set this host's clock", "it is good from %s on only", c.NotBefore.UTC().Format(time.DateTime))
	case left <= 0:
		x.problem(check, renew, "it ended %s ago (%s)", span(-left), clean(names))
	case left < soonExpires:
		x.warn(check, renew, "it ends in %s (%s)", span(left), clean(names))
	default:
		x.ok(check, "it is good for %s more (%s)", span(left), clean(names))
	}
}

func (x *examination) acme() {
	p := x.plan
	if len(p.Domains) == 0 {
		return
	}
	const check = "acme"
	port := func(a string) string { _, n, _ := net.SplitHostPort(a); return n }
	switch {
	case port(p.ACMEAddress) == "80" || port(p.HTTPS) == "443":
		x.ok(check, "the authority can look for the proof at port 80 or 443")
	default:
		x.warn(check, `set acme.http_address to ":80", or http.tls_address to ":443", unless something in front of the node passes these ports on`,
			"the authority looks for the proof at port 80 or 443, and the node listens on neither")
	}
	for _, d := range p.Domains {
		if err := x.facts.Unresolved[d]; err != nil {
			x.problem(check, "add an A or AAAA record for "+d+" with this host's public address", "%s has no address: %v", d, err)
		}
	}
	if x.facts.Unresolved == nil {
		x.ok(check, "whether %s lead here was not asked: add --online for that", strings.Join(p.Domains, ", "))
	}
}

func (x *examination) data() {
	const check = "data folder"
	d := &x.facts.Data
	if d.WriteErr != nil {
		x.problem(check, fmt.Sprintf("mkdir -p %s && sudo chown $(id -un) %s; or set data.directory", x.plan.Data, x.plan.Data),
			"%s cannot be written: %v; there would be no cards and no webhooks after a restart", x.plan.Data, d.WriteErr)
		return
	}
	switch {
	case d.Free >= 0 && d.Free < leastSpace:
		x.problem(check, "make room on its disk, or set data.directory", "only %s are free for %s", size(d.Free), x.plan.Data)
	case d.Free >= 0 && d.Free < littleSpace:
		x.warn(check, "make room on its disk, or set data.directory", "only %s are free for %s", size(d.Free), x.plan.Data)
	case d.FreeFiles >= 0 && d.FreeFiles < fewFiles:
		x.warn(check, "delete files on its disk: df -i "+x.plan.Data, "only %d more files can be made on the disk of %s", d.FreeFiles, x.plan.Data)
	case d.Free >= 0:
		x.ok(check, "%s can be written, %s are free", x.plan.Data, size(d.Free))
	default:
		x.ok(check, "%s can be written", x.plan.Data)
	}
	if d.Exists && d.Mode&0o007 != 0 {
		x.warn(check, "chmod 700 "+x.plan.Data, "every user of this host can look into %s (mode %04o)", x.plan.Data, d.Mode&0o777)
	}
	if d.Locked && !x.facts.Running {
		x.problem(check, "give each node a data folder of its own (data.directory), or stop the other one", "another process uses %s", x.plan.Data)
	}
}

func (x *examination) ffmpeg() {
	const check = "ffmpeg"
	f := x.facts.FFmpeg
	if f == nil {
		if x.plan.FFmpeg == "" {
			x.ok(check, "it is off: streams are served as they are published")
		}
		return
	}
	if f.Err != nil {
		x.warn(check, `sudo apt install ffmpeg; or set ladder.ffmpeg to "" to do without`, "no renditions, conversions and posters can be made: %s", clean(f.Err.Error()))
		return
	}
	x.ok(check, "%s", clean(f.Version))
	if len(f.Works) == 0 {
		reason := ""
		if len(f.Fails) > 0 {
			reason = ": " + clean(f.Fails[len(f.Fails)-1].Reason)
		}
		x.problem("encoders", "install an ffmpeg with libx264 and have cpu in ladder.encoders", "none of %s encodes H.264%s", strings.Join(x.plan.Encoders, ", "), reason)
		return
	}
	x.ok("encoders", "%s works and is used first", f.Works[0])
	for _, e := range f.Fails {
		if e.Backend != "cpu" {
			x.ok("encoders", "%s is not used: %s", e.Backend, clean(e.Reason))
		}
	}
}

func (x *examination) cluster() {
	if !x.plan.Clustered {
		return
	}
	const check = "cluster"
	c := x.facts.ClusterNode
	switch {
	case len(x.facts.Cluster.Missing) > 0:
		x.problem(check, "make them: pushcart ca init, then pushcart ca issue NAME --region REGION, and copy them to "+x.plan.Certificates+"; or set cluster.development for a trial",
			"%s lacks %s", x.plan.Certificates, strings.Join(x.facts.Cluster.Missing, ", "))
	case c == nil:
		x.warn(check, "look at them: pushcart ca show "+x.plan.Certificates+"/node.pem", "the node's certificate in %s cannot be read", x.plan.Certificates)
	default:
		x.certificateDates(check, c, "make another one: pushcart ca issue NAME --region REGION, and copy it to "+x.plan.Certificates)
	}
}

// clean keeps what other programs say to one line without control characters.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return strings.TrimSpace(s)
}
