package route

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"
)

// pageStyle is all of the page's style. The policy that is sent with the page allows it by its sum, and nothing else.
const pageStyle = `:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#d5dae0;--dim:#5b6570;--good:#17713a;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--paper:#14171b;--line:#333a42;--dim:#98a2ad;--good:#5fd08a;--bad:#ff8a80}}
body{margin:0 auto;max-width:80rem;padding:1rem;font:16px/1.4 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.3rem;margin:0}h2{font-size:1.05rem;margin:1.5rem 0 .4rem}p{margin:.3rem 0}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--dim);font-size:.85rem}.n{text-align:right}
.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}`

// pageText is the page. It needs no script: the browser fetches it again by itself. What matters most comes first, because that is
// what fits on a phone.
const pageText = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="2">
<title>Pushcart cluster: {{len .Nodes}} nodes, {{len .Streams}} streams</title>
<style>` + pageStyle + `</style>
</head>
<body>
<h1>Pushcart cluster</h1>
<p class="dim">As {{.Self}} sees it, {{.At.UTC.Format "2006-01-02 15:04:05"}} UTC</p>
<p>Directory: {{if .Directory.Healthy}}<span class="good">well</span>{{else}}<span class="bad">cannot be reached: streams go on, and none changes its origin</span>{{end}}{{if not .Directory.Since.IsZero}} <span class="dim">for {{span (.At.Sub .Directory.Since).Seconds}}</span>{{end}}</p>

<h2>Nodes</h2>
<div class="scroll"><table>
<thead><tr><th>node</th><th>region</th><th class="n">seen</th><th class="n">CPU, cores</th><th class="n">viewers</th><th class="n">peers</th><th class="n">streams</th><th class="n">certificate</th><th class="n">up</th><th>version</th></tr></thead>
<tbody>
{{range .Nodes}}<tr><td>{{.Name}}{{if .Full}} <span class="bad">full</span>{{end}}</td><td>{{.Region}}</td><td class="n">{{if .Self}}this node{{else}}<span class="{{if gt .SeenAgo 3.0}}bad{{else}}good{{end}}">{{span .SeenAgo}} ago</span>{{end}}</td><td class="n">{{printf "%.2f" .CPU}}</td><td class="n">{{.Viewers}}</td><td class="n">{{.Peers}}</td><td class="n">{{.Holds}}</td><td class="n">{{with .CertificateDays}}<span class="{{if lt . 30.0}}bad{{end}}">{{days .}}</span>{{else}}–{{end}}</td><td class="n">{{span .Uptime}}</td><td>{{.Version}}</td></tr>
{{end}}</tbody></table></div>
{{with .MoreNodes}}<p class="dim">and {{.}} more</p>{{end}}

<h2>Streams</h2>
{{if .Streams}}<div class="scroll"><table>
<thead><tr><th>stream</th><th>origin</th><th>publisher</th><th>held in</th><th class="n">by nodes</th><th>allowed in</th><th>region</th><th class="n">generation</th></tr></thead>
<tbody>
{{range .Streams}}<tr><td>{{.Stream}}</td><td>{{.Origin}}{{if .OriginLost}} <span class="bad">lost</span>{{end}}</td><td>{{if .Live}}<span class="good">live</span>{{else}}<span class="bad">away</span>{{end}}{{if .Standby}} (standby){{end}}</td><td>{{join .Regions}}</td><td class="n">{{.Holders}}</td><td>{{if .Allowed}}{{join .Allowed}}{{else}}all regions{{end}}</td><td>{{.Region}}</td><td class="n">{{.Gen}}</td></tr>
{{end}}</tbody></table></div>
{{with .MoreStreams}}<p class="dim">and {{.}} more</p>{{end}}{{else}}<p class="dim">none</p>{{end}}

<h2>Copies</h2>
{{if .Links}}<div class="scroll"><table>
<thead><tr><th>stream</th><th>from</th><th>to</th><th class="n">lag</th><th class="n">segment, part</th><th class="n">throughput</th><th class="n">generation</th></tr></thead>
<tbody>
{{range .Links}}<tr><td>{{.Stream}}</td><td>{{.From}}</td><td>{{.To}}</td><td class="n">{{printf "%.0f" .LagMS}} ms</td><td class="n">{{.Position.MSN}}.{{.Position.Part}}</td><td class="n">{{with .Rate}}{{rate .}}{{else}}–{{end}}</td><td class="n">{{.Position.Gen}}</td></tr>
{{end}}</tbody></table></div>
{{with .MoreLinks}}<p class="dim">and {{.}} more</p>{{end}}{{else}}<p class="dim">none</p>{{end}}
</body>
</html>
`

// page escapes whatever nodes say of themselves.
var page = template.Must(template.New("cluster").Funcs(template.FuncMap{
	"span": span,
	"join": func(list []string) string { return strings.Join(list, ", ") },
	"days": func(d *float64) string { return fmt.Sprintf("%.0f days left", *d) },
	"rate": func(r *float64) string { return fmt.Sprintf("%.2f Mbit/s", *r*8/1e6) },
	// Comparisons with what may be unknown.
	"lt": func(d *float64, limit float64) bool { return *d < limit },
}).Parse(pageText))

// span writes a number of seconds for people: "3 s", "5 min", "2 h", "12 d".
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// pagePolicy forbids everything but the page's own style.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

// Page answers with the cluster as a page for people: GET /cluster. It fetches itself again every two seconds.
func Page(o ClusterOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		if err := page.Execute(&b, o.look()); err != nil {
			http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		_, _ = b.WriteTo(w) // who asked is gone: nothing to do
	})
}
