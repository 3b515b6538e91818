package packager
import ("testing";"fmt";"pushcart/internal/stream")
func TestDbg(t *testing.T){
	b:=[]byte(dbg)
		g := newRig(t)
		if len(b)%2 == 1 { g.audio.Silence, g.audio.SilenceSamples = []byte{9}, 1024 }
		g.Tracks([]*stream.Track{g.video, g.audio})
		var v, a int64 = 90000, 48000
		for ; len(b) >= 2; b = b[2:] {
			op, step := b[0], int64(b[1])
			switch {
			case op&0x20 != 0:
				g.era++
				v, a = max(v, a*90/48)+90000*step/10, 0
				a = v * 48 / 90
				fmt.Println("era",g.era, op&1)
				if op&1 != 0 { g.Away() }
			case op&0x10 != 0:
				changed := *g.video
				changed.Config = append([]byte(nil), byte(step))
				g.video = &changed
				fmt.Println("track")
			case op&0x40 == 0:
				v += max(1, step*90*int64(1+op&0x0f))
				fr := stream.Frame{Track: g.video, Era: g.era, DTS: v, PTS: v + int64(op&0x0f)*900, Key: op&0x80 != 0, Wall: epoch, Payload: []byte{1, 2, 3}}
				g.Frame(&fr)
				fmt.Println("v",v, fr.Key)
			default:
				a += max(1024, step*48*int64(1+op&0x0f))
				fr := stream.Frame{Track: g.audio, Era: g.era, DTS: a, PTS: a, Duration: 1024, Key: true, Wall: epoch, Payload: []byte{1}}
				g.Frame(&fr)
				fmt.Println("a",a*90/48)
			}
			p:=g.Packager
			if p.lead!=nil { fmt.Println("   lead",p.lead==p.video,"era",p.era,"end",p.lead.end,"pending",p.lead.pending!=nil,"next",p.nextMSN,"follow",len(p.follow),"needKey",p.needKey, "q",len(p.queue.frames)) }
		}
		g.End()
		fmt.Println(g.nextMSN)
		for _, r := range g.Presentation().Load().Renditions { for _, x := range r.Load().Segments { fmt.Print(r.Name," ",x.MSN," start ",x.Start," d ",x.Duration," disc ",x.Discontinuity,": "); for _,q:=range x.Parts { fmt.Print(q.Duration); if q.Gap {fmt.Print("g")}; fmt.Print(" ")}; fmt.Println() } }
}
