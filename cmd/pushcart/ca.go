package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pushcart/relay/trust"
)

// caCommand is pushcart ca.
type caCommand struct {
	Init  caInitCommand  `cmd:"" help:"Make a cluster's certificate authority."`
	Issue caIssueCommand `cmd:"" help:"Issue a node's certificate, into a folder to copy to that node."`
	Show  caShowCommand  `cmd:"" help:"Tell whose a certificate is and until when it is valid."`
}

// Limits of what may be asked for.
const (
	maxCAYears = 50
	maxCADays  = 3650
	day        = 24 * time.Hour
)

// caInitCommand is pushcart ca init.
type caInitCommand struct {
	Dir   string `default:"cluster" placeholder:"FOLDER" help:"Folder of the authority; ${default} otherwise."`
	Years int    `default:"10" placeholder:"N" help:"How long it is valid; ${default} years otherwise."`
}

// Run implements the command.
func (c *caInitCommand) Run(s surroundings) error {
	if c.Years < 1 || c.Years > maxCAYears {
		return fmt.Errorf("--years: %d is out of range: allowed is 1 to %d", c.Years, maxCAYears)
	}
	a, err := trust.NewAuthority(time.Now(), time.Duration(c.Years)*365*day)
	if err != nil {
		return err
	}
	if err := a.Save(c.Dir); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s has an authority already, and nothing was changed: the nodes' certificates are worth nothing without it.\n"+
				"For a certificate: pushcart ca issue NAME --region REGION --dir %s\n"+
				"For another authority: name another folder with --dir", c.Dir, c.Dir)
		}
		return fmt.Errorf("make the authority in %s: %w", c.Dir, err)
	}
	_, err = fmt.Fprintf(s.stdout, `Made the authority %q, valid until %s:
  %s  its certificate; each node gets a copy
  %s  its key; keep it where no node runs: whoever has it can be any node
Next, for each node: pushcart ca issue NAME --region REGION%s
`, a.Name(), caDate(a.NotAfter()), filepath.Join(c.Dir, trust.AuthorityFile), filepath.Join(c.Dir, trust.AuthorityKeyFile), c.flag())
	return err
}

// flag is the --dir to write in a next command.
func (c *caInitCommand) flag() string {
	if c.Dir == "cluster" {
		return ""
	}
	return " --dir " + c.Dir
}

// caIssueCommand is pushcart ca issue.
type caIssueCommand struct {
	Name   string   `arg:"" help:"The node's name (node.name): letters a to z, digits and \"-\"."`
	Region string   `required:"" placeholder:"REGION" help:"The region that it stands in (cluster.region)."`
	Host   []string `placeholder:"HOST" help:"A further DNS name or IP address of the node; may be repeated. Nodes go by the name alone."`
	Dir    string   `default:"cluster" placeholder:"FOLDER" help:"Folder of the authority; ${default} otherwise."`
	Out    string   `placeholder:"FOLDER" help:"Folder for the node's files; the node's name, in the authority's folder, otherwise."`
	Days   int      `default:"365" placeholder:"N" help:"How long the certificate is valid; ${default} days otherwise."`
	Renew  bool     `help:"Write over the certificate and the key that are there."`
}

// Run implements the command.
func (c *caIssueCommand) Run(s surroundings) error {
	if c.Days < 1 || c.Days > maxCADays {
		return fmt.Errorf("--days: %d is out of range: allowed is 1 to %d", c.Days, maxCADays)
	}
	a, err := trust.LoadAuthority(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no authority (%w): make one with \"pushcart ca init --dir %s\", or name its folder with --dir", c.Dir, err, c.Dir)
	}
	if err != nil {
		return err
	}
	pair, err := a.Issue(c.Name, c.Region, c.Host, time.Duration(c.Days)*day, time.Now())
	if err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = filepath.Join(c.Dir, c.Name)
	}
	write := trust.SaveNode
	if c.Renew {
		write = trust.ReplaceNode
	}
	switch err := write(out, a.Certificate(), pair); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s has a certificate already, and nothing was changed: add --renew to write a new one over it", out)
	case err != nil:
		return fmt.Errorf("write the node's files to %s: %w", out, err)
	}
	certs, err := trust.ParseCertificates(pair.Certificate)
	if err != nil {
		return err
	}
	until := certs[0].NotAfter
	fmt.Fprintf(s.stdout, "Issued the certificate of node %s in region %s, valid until %s:\n", c.Name, c.Region, caDate(until))
	for _, file := range []struct{ name, what string }{
		{trust.AuthorityFile, "the authority's certificate"}, {trust.CertificateFile, "the node's certificate"}, {trust.KeyFile, "the node's key: for this node only"},
	} {
		fmt.Fprintf(s.stdout, "  %s  %s\n", filepath.Join(out, file.name), file.what)
	}
	if until.Before(time.Now().Add(time.Duration(c.Days)*day - day)) {
		fmt.Fprintf(s.stdout, "It ends with the authority: %d days would have been longer.\n", c.Days)
	}
	_, err = fmt.Fprintf(s.stdout, `Copy the folder to the node, readable for the user that Pushcart runs as (10001 in the image) and nobody else:
  node.name: %s
  cluster.region: %s
  cluster.directory: where the folder is there
A node that runs takes changed files up by itself.
`, c.Name, c.Region)
	return err
}

// caShowCommand is pushcart ca show.
type caShowCommand struct {
	File string `arg:"" help:"A certificate (ca.pem, node.pem), or the folder of a node."`
}

// Run implements the command.
func (c *caShowCommand) Run(s surroundings) error {
	file := c.File
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file = filepath.Join(file, trust.CertificateFile)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			file = filepath.Join(c.File, trust.AuthorityFile) // the folder of an authority
		}
	}
	text, err := os.ReadFile(file)
	if file != c.File && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has neither %s nor %s: name the folder of a node or of an authority, or a certificate", c.File, trust.CertificateFile, trust.AuthorityFile)
	}
	if err != nil {
		return err
	}
	certs, err := trust.ParseCertificates(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, cert := range certs {
		var b strings.Builder
		switch id, err := trust.IdentityOf(cert); {
		case err == nil:
			fmt.Fprintf(&b, "node %s, region %s", id.Name, id.Region)
		case cert.IsCA:
			fmt.Fprintf(&b, "authority %q", cert.Subject.CommonName)
		default:
			fmt.Fprintf(&b, "%q, which is neither a node nor an authority", cert.Subject.CommonName)
		}
		fmt.Fprintf(&b, ", until %s", caDate(cert.NotAfter))
		switch left := time.Until(cert.NotAfter); {
		case left < 0:
			b.WriteString(" (expired)")
		default:
			fmt.Fprintf(&b, " (%d days left)", int(left/day))
		}
		if !cert.IsCA {
			fmt.Fprintf(&b, ", issued by %q", cert.Issuer.CommonName)
		}
		fmt.Fprintln(s.stdout, b.String())
	}
	return nil
}

// caDate writes a day for people.
func caDate(t time.Time) string { return t.UTC().Format("2 January 2006") }
