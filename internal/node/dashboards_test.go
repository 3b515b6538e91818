package node_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// What is in configs/prometheus and configs/grafana.
const (
	rulesFolder   = "../../configs/prometheus"
	dashboardFile = "../../configs/grafana/dashboard.json"
)

type rulesFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert, Record, Expr, For string
	Labels, Annotations      map[string]string
}

func readYAML(t *testing.T, file string, to any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var f rulesFile
	readYAML(t, filepath.Join(rulesFolder, "rules.yaml"), &f)
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestRules: Prometheus takes the rules, each alert fires and is calm when it should, and says what to do, by settings that there are.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"check", "rules", rulesFolder + "/rules.yaml"}, {"test", "rules", rulesFolder + "/rules_test.yaml"}, {"check", "config", rulesFolder + "/prometheus.yaml"},
	} {
		promtool(t, nil, args...)
	}
	var tests struct {
		Tests []struct {
			Alerts []struct {
				Name   string `yaml:"alertname"`
				Expect []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, filepath.Join(rulesFolder, "rules_test.yaml"), &tests)
	fires, calm := map[string]bool{}, map[string]bool{}
	for _, one := range tests.Tests {
		for _, a := range one.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Expect) > 0
			calm[a.Name] = calm[a.Name] || len(a.Expect) == 0
		}
	}
	var settings map[string]any
	readYAML(t, "../../configs/pushcart.yaml", &settings)
	severities := []string{"critical", "warning", "info"}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if !fires[r.Alert] || !calm[r.Alert] {
			t.Errorf("%s: rules_test.yaml has to show that it fires, and that it does not", r.Alert)
		}
		if r.For == "" || !slices.Contains(severities, r.Labels["severity"]) || len(r.Annotations["summary"]) < 20 || len(r.Annotations["description"]) < 80 {
			t.Errorf("%s: it needs for, severity (%q), a summary and a description that says what to do", r.Alert, severities)
		}
		for _, name := range settingName.FindAllString(r.Annotations["description"], -1) {
			section, key, _ := strings.Cut(name, ".")
			group, ok := settings[section].(map[string]any)
			if !ok {
				continue // no setting
			}
			if _, ok := group[key]; !ok && key != "" {
				t.Errorf("%s names the setting %s, which there is not", r.Alert, name)
			}
		}
	}
}

var settingName = regexp.MustCompile(`\b[a-z]+\.[a-z_]+\b`)

// TestNamesExist: what rules and the dashboard ask for, a node has, with those labels.
func TestNamesExist(t *testing.T) {
	t.Parallel()
	there := whole(t).Described()
	recorded := map[string]bool{}
	exprs := map[string]string{}
	for _, r := range rules(t) {
		exprs[r.Alert+r.Record] = r.Expr
		recorded[r.Record] = true
	}
	for i, e := range dashboard(t).expressions() {
		exprs[fmt.Sprintf("dashboard %d", i)] = e
	}
	for where, expr := range exprs {
		for _, name := range recordedName.FindAllString(expr, -1) {
			if !recorded[name] {
				t.Errorf("%s: nothing records %s", where, name)
			}
		}
		found := selector.FindAllStringSubmatch(recordedName.ReplaceAllString(expr, ""), -1)
		if len(found) == 0 && !recordedName.MatchString(expr) {
			t.Errorf("%s: no metric is found in %s", where, expr)
		}
		for _, m := range found {
			name := m[1]
			labels, ok := there[name]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if bare, cut := strings.CutSuffix(name, suffix); cut && !ok {
					labels, ok = there[bare]
				}
			}
			if fromPrometheus := []string{"up", "ALERTS"}; slices.Contains(fromPrometheus, name) {
				continue
			}
			if !ok {
				t.Errorf("%s asks for %s, which no node has", where, name)
				continue
			}
			for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(append([]string{"instance", "job", "le"}, labels...), l[1]) {
					t.Errorf("%s asks for the label %s of %s, which has %q", where, l[1], name, labels)
				}
			}
		}
	}
}

var (
	recordedName = regexp.MustCompile(`\b[a-z]+:[a-z0-9_]+:[a-z0-9_]+\b`)
	selector     = regexp.MustCompile(`\b(pushcart_[a-z0-9_]+|process_[a-z_]+|go_[a-z_]+|up|ALERTS)\b(\{[^}]*\})?`)
	matcher      = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)
)

// grafana is what there is to a dashboard.
type grafana struct {
	Title, UID    string
	SchemaVersion int
	Panels        []struct {
		ID          int
		Title, Type string
		GridPos     struct{ H, W, X, Y int }
		Datasource  map[string]string
		Targets     []struct {
			RefID, Expr string
			Datasource  map[string]string
		}
		FieldConfig map[string]any
	}
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Annotations struct {
		List []struct{ Expr string }
	}
}

func dashboard(t *testing.T) *grafana {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d grafana
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// expressions are all that it asks Prometheus.
func (d *grafana) expressions() (all []string) {
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all = append(all, q.Expr)
		}
	}
	for _, v := range d.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			all = append(all, fmt.Sprint(q["query"]))
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			all = append(all, a.Expr)
		}
	}
	return all
}

// TestDashboard: Grafana can take it, whatever its data source is called, and nothing lies over anything else.
func TestDashboard(t *testing.T) {
	t.Parallel()
	d := dashboard(t)
	if d.Title == "" || d.UID == "" || d.SchemaVersion < 36 {
		t.Errorf("title %q, uid %q, schema %d", d.Title, d.UID, d.SchemaVersion)
	}
	variables := map[string]string{}
	for _, v := range d.Templating.List {
		variables[v.Name] = v.Type
	}
	if want := map[string]string{"datasource": "datasource", "instance": "query", "stream": "query"}; !maps.Equal(variables, want) {
		t.Errorf("the variables are %v", variables)
	}
	ids, cells, rows := map[int]bool{}, map[[2]int]string{}, []string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %d %q: it needs a number of its own and a title", p.ID, p.Title)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%q lies at %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" {
					t.Fatalf("%q lies over %q", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] || q.Expr == "" || q.Datasource["uid"] != "${datasource}" || strings.Count(q.Expr, "(") != strings.Count(q.Expr, ")") {
				t.Errorf("%q asks %+v", p.Title, q)
			}
			refs[q.RefID] = true
		}
		if len(p.Targets) == 0 || p.Datasource["uid"] != "${datasource}" {
			t.Errorf("%q asks nothing, or not of ${datasource}", p.Title)
		}
	}
	if want := []string{"Shows", "Latency", "Drops", "Publishers", "Cards", "Ladder", "Relay and cluster", "Viewers' HTTP", "Resources"}; !slices.Equal(rows, want) {
		t.Errorf("the rows are %q", rows)
	}
}

// TestExpressionsParse: Prometheus understands each expression of the dashboard.
func TestExpressionsParse(t *testing.T) {
	t.Parallel()
	fill := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$instance", ".*", "$stream", ".*")
	var file strings.Builder
	file.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for i, e := range dashboard(t).expressions() {
		if strings.HasPrefix(e, "label_values(") {
			continue
		}
		fmt.Fprintf(&file, "      - record: panel_%d\n        expr: %q\n", i, fill.Replace(e))
	}
	name := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(name, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", name)
}
