package command

import (
	"fmt"
	"strconv"
	"strings"

	"pushcart/internal/stream"
)

// graph is the filter graph of a picture job: one decoder's frames, split, each branch scaled, marked, and brought to where
// its encoder is.
type graph struct {
	job    *PictureJob
	engine Engine
	// onGPU tells that frames are decoded and scaled in the GPU's memory.
	onGPU  bool
	chains string
}

func (j *PictureJob) graph(e Engine) *graph {
	return &graph{job: j, engine: e, onGPU: e.Filters && gpuDecodes(j.Source)}
}

// gpuDecodes tells whether GPUs decode a track as a rule: 8 bits, limited range, 4:2:0, H.264 or HEVC. H.264 of the old
// Baseline profile (not constrained) they do not.
func gpuDecodes(t *stream.Track) bool {
	switch t.Codec {
	case stream.H264:
		return plain(t) && (t.Config[1] != 66 || len(t.Config) > 2 && t.Config[2]&0x40 != 0)
	case stream.HEVC:
		return plain(t)
	}
	return false
}

// hardware tells whether an output's encoder is the back-end's.
func (g *graph) hardware(o Output) bool {
	return g.engine.Backend != CPU && g.engine.encodes(o.Rung.Codec)
}

func label(kind string, i int) string { return kind + strconv.Itoa(i) }

// build writes the graph.
func (g *graph) build() string {
	var mapped []int
	branches := 0
	for i, o := range g.job.Outputs {
		if o.ToneMapped {
			mapped = append(mapped, i)
		} else {
			branches++
		}
	}
	if len(mapped) > 0 {
		branches++
	}
	if g.job.Poster != nil {
		branches++
	}
	if branches == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("[0:v:0]" + markSource(g.job.Source))
	next := fork(&b, "s", branches)
	for i, o := range g.job.Outputs {
		if !o.ToneMapped {
			fmt.Fprintf(&b, ";%s%s[%s]", next(), g.chain(o), label("o", i))
		}
	}
	if len(mapped) > 0 {
		g.mapped(&b, next(), mapped)
	}
	if g.job.Poster != nil {
		fmt.Fprintf(&b, ";%s%s[poster]", next(), g.poster())
	}
	return b.String()
}

// fork ends a chain in n labelled ends, and returns what gives them one after the other.
func fork(b *strings.Builder, kind string, n int) (next func() string) {
	if n > 1 {
		fmt.Fprintf(b, ",split=%d", n)
	}
	for i := range n {
		fmt.Fprintf(b, "[%s]", label(kind, i))
	}
	i := -1
	return func() string {
		i++
		return "[" + label(kind, i) + "]"
	}
}

// mapped writes what comes of HDR as SDR: tone-mapped once, in the largest size.
func (g *graph) mapped(b *strings.Builder, from string, outputs []int) {
	largest := g.job.Outputs[outputs[0]]
	for _, i := range outputs {
		if o := g.job.Outputs[i]; o.Width*o.Height > largest.Width*largest.Height {
			largest = o
		}
	}
	fmt.Fprintf(b, ";%s%s", from, toneMap(largest.Width, largest.Height))
	next := fork(b, "m", len(outputs))
	for _, i := range outputs {
		fmt.Fprintf(b, ";%s%s[%s]", next(), g.chain(g.job.Outputs[i]), label("o", i))
	}
}

// toneMap makes SDR of BT.709 of HDR, on the CPU, in linear light of 32-bit floats. Hable's curve keeps the highlights of
// faces and goods; 100 nits are the white of SDR (ITU-R BT.2035).
func toneMap(w, h int) string {
	return fmt.Sprintf("zscale=w=%d:h=%d:f=bicubic:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,"+
		"zscale=t=bt709:m=bt709:r=tv,format=yuv420p", w, h)
}

// markSource says what the decoder's frames stand for where the stream does not, so that no filter guesses.
func markSource(t *stream.Track) string {
	c := colorOf(t)
	return fmt.Sprintf("setparams=color_primaries=%s:color_trc=%s:colorspace=%s",
		primaryNames[c.Primaries], transferNames[c.Transfer], matrixNames[c.Matrix])
}

// mark says what an output's frames stand for.
func mark(c stream.Color) string {
	return fmt.Sprintf("setparams=range=tv:color_primaries=%s:color_trc=%s:colorspace=%s,setsar=1",
		primaryNames[c.Primaries], transferNames[c.Transfer], matrixNames[c.Matrix])
}

// chain are an output's filters.
func (g *graph) chain(o Output) string {
	var filters []string
	if g.drops(o) {
		filters = append(filters, drop(o.Rung.FrameRate, known(g.job.Source.FrameRate) > 0))
	}
	if g.onGPU {
		filters = append(filters, g.gpuScale(o.Width, o.Height))
		if !g.hardware(o) {
			filters = append(filters, "hwdownload", "format=nv12", "format=yuv420p")
		}
		return strings.Join(append(filters, mark(o.Color)), ",")
	}
	filters = append(filters,
		fmt.Sprintf("scale=w=%d:h=%d:flags=bicubic:out_range=tv", o.Width, o.Height), "format="+g.pixels(o), mark(o.Color))
	if g.hardware(o) {
		filters = append(filters, g.upload()...)
	}
	return strings.Join(filters, ",")
}

// pixels is the format that an output's encoder takes from the CPU's filters.
func (g *graph) pixels(o Output) string {
	deep := o.Color.Depth > 8
	switch {
	case g.hardware(o) && deep:
		return "p010le"
	case g.hardware(o):
		return "nv12"
	case deep:
		return "yuv420p10le"
	}
	return "yuv420p"
}

// poster are the filters of the poster: a frame now and then, by the source's time, full range as JPEG is.
func (g *graph) poster() string {
	p := g.job.Poster
	filters := []string{fmt.Sprintf("select='isnan(prev_selected_t)+gte(t-prev_selected_t,%s)'", decimals(p.Every.Seconds()))}
	switch {
	case g.onGPU:
		filters = append(filters, g.gpuScale(p.Width, p.Height), "hwdownload", "format=nv12")
	case hdr(g.job.Source):
		filters = append(filters, toneMap(p.Width, p.Height))
	}
	filters = append(filters,
		fmt.Sprintf("scale=w=%d:h=%d:flags=bicubic:out_color_matrix=bt601:out_range=pc", p.Width, p.Height), "format=yuvj420p", "setsar=1")
	return strings.Join(filters, ",")
}

// drop keeps to a frame rate by leaving frames out: no timestamp changes, and no key frame goes. A frame is due an interval
// after the one before it was; one that comes early by a part of that is taken all the same, so that timestamps which tremble
// cost nothing. From a steady rate every second or third frame goes and the rest is as steady. Of a rate that is not known,
// frames that came late make up for some that come early, by less than would take two neighbours where every second one is
// due. The interval is 5 % short, for rates that are about the cap. Variable 0 is when the next frame is due.
func drop(cap float64, steady bool) string {
	interval := 1 / (cap * withinCap)
	early, credit := interval*0.35, 0.0
	if !steady {
		early, credit = interval*0.25, interval*0.2
	}
	return fmt.Sprintf("select='if(key+gte(t,ld(0)-%.6f),1+0*st(0,if(key,t,max(t-%.6f,ld(0)))+%.6f),0)'", early, credit, interval)
}
