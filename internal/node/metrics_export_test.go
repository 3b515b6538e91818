package node

import (
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Described are the metrics that the node's registry has, with or without a series so far, and the labels of each.
func (n *Node) Described() map[string][]string {
	ch := make(chan *prometheus.Desc)
	go func() {
		n.reg.Describe(ch)
		close(ch)
	}()
	all := map[string][]string{}
	for d := range ch {
		// The only way to a descriptor's name.
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			panic("a descriptor that is written otherwise: " + d.String())
		}
		var labels []string
		for pair := range strings.SplitSeq(m[2], ",") {
			if name, _, ok := strings.Cut(pair, "="); ok {
				labels = append(labels, name)
			}
		}
		for name := range strings.SplitSeq(m[3], ",") {
			if name != "" {
				labels = append(labels, name)
			}
		}
		all[m[1]] = append(all[m[1]], labels...)
	}
	return all
}

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
