package relay

import (
	"encoding/json"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/relay/wire"
)

// TestForged: what a lying node sends is refused and counted by reason, what is there stays, and the copy goes on with a node
// that does not lie.
func TestForged(t *testing.T) {
	t.Parallel()
	hello := func(r wire.Record, change func(*wire.Hello)) []byte {
		h, err := wire.ParseHello(r.Payload)
		if err != nil {
			t.Error(err)
			return nil
		}
		change(h)
		b, err := wire.AppendJSON(nil, wire.TypeHello, h)
		if err != nil {
			t.Error(err)
		}
		return b
	}
	step := func(r wire.Record, change func(*wire.Step)) []byte {
		s, err := wire.ParseStep(r.Payload)
		if err != nil {
			t.Error(err)
			return nil
		}
		change(s)
		b, err := wire.AppendStep(nil, s, r.Flags)
		if err != nil {
			t.Error(err)
		}
		return b
	}
	chunk := func(r wire.Record, change func(*wire.Chunk)) []byte {
		c, err := wire.ParseChunk(r.Payload)
		if err != nil {
			t.Error(err)
			return nil
		}
		c.Data = append([]byte(nil), c.Data...)
		change(&c)
		b, err := wire.AppendChunk(nil, &c, r.Flags)
		if err != nil {
			t.Error(err)
		}
		return b
	}
	live := func(r wire.Record) bool { return r.Type == wire.TypeChunk && r.Flags&wire.FlagBackfill == 0 }
	back := func(r wire.Record) bool { return r.Type == wire.TypeChunk && r.Flags&wire.FlagBackfill != 0 }
	is := func(t wire.Type) func(wire.Record) bool { return func(r wire.Record) bool { return r.Type == t } }
	for _, c := range []struct {
		name, reason string
		which        func(wire.Record) bool
		lie          func(wire.Record) []byte
	}{
		{"garbled record", failChecksum, live, func(r wire.Record) []byte {
			b := unchanged(r)
			b[len(b)-1] ^= 1
			return b
		}},
		{"record that is too long", failTooLong, live, func(wire.Record) []byte { return []byte{0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0} }},
		{"view that is none", failMalformed, is(wire.TypeView), func(wire.Record) []byte {
			b, _ := wire.AppendRecord(nil, wire.TypeView, 0, []byte("{"))
			return b
		}},
		{"other media", failSum, live, func(r wire.Record) []byte { return chunk(r, func(c *wire.Chunk) { c.Data[3] ^= 1 }) }},
		{"other media of old parts", failSum, back, func(r wire.Record) []byte { return chunk(r, func(c *wire.Chunk) { c.Data[0] ^= 1 }) }},
		{"another initialisation section", failSum, is(wire.TypeInit), func(r wire.Record) []byte {
			i, err := wire.ParseInit(r.Payload)
			if err != nil {
				t.Error(err)
			}
			i.Data = append(i.Data, 1)
			b, _ := wire.AppendInit(nil, i)
			return b
		}},
		{"media for another place", failPosition, live, func(r wire.Record) []byte { return chunk(r, func(c *wire.Chunk) { c.MSN += 2; c.Part = 0 }) }},
		{"media of another generation", failPosition, live, func(r wire.Record) []byte { return chunk(r, func(c *wire.Chunk) { c.Gen-- }) }},
		{"step without its media", failPosition, live, func(wire.Record) []byte { return []byte{} }},
		{"step to another place", failPosition, is(wire.TypeStep), func(r wire.Record) []byte { return step(r, func(s *wire.Step) { s.Index++ }) }},
		{"step that lists others", failPosition, is(wire.TypeStep), func(r wire.Record) []byte { return step(r, func(s *wire.Step) { s.Listed-- }) }},
		{"step of a lower generation", failPosition, is(wire.TypeStep), func(r wire.Record) []byte { return step(r, func(s *wire.Step) { s.Gen-- }) }},
		{"step of the future", failGeneration, is(wire.TypeStep), func(r wire.Record) []byte { return step(r, func(s *wire.Step) { s.Gen = 1 << 60 }) }},
		{"another node", failAnswer, is(wire.TypeHello), func(r wire.Record) []byte { return hello(r, func(h *wire.Hello) { h.Node = "eu-9" }) }},
		{"another stream", failAnswer, is(wire.TypeHello), func(r wire.Record) []byte { return hello(r, func(h *wire.Hello) { h.Stream = "other" }) }},
		{"another version", failAnswer, is(wire.TypeHello), func(r wire.Record) []byte { return hello(r, func(h *wire.Hello) { h.Version++ }) }},
		{"lower generation", failGeneration, is(wire.TypeHello), func(r wire.Record) []byte { return hello(r, func(h *wire.Hello) { h.Gen-- }) }},
		{"generation of the future", failGeneration, is(wire.TypeHello), func(r wire.Record) []byte { return hello(r, func(h *wire.Hello) { h.Gen = 1 << 60 }) }},
		{"path with this node", failLoop, is(wire.TypeHello), func(r wire.Record) []byte { return hello(r, func(h *wire.Hello) { h.Path = []string{"us-1", "eu-1"} }) }},
		{"long path", failLoop, is(wire.TypeHello), func(r wire.Record) []byte {
			return hello(r, func(h *wire.Hello) { h.Path = []string{"a", "b", "eu-1"} })
		}},
		{"silence", failSilent, is(wire.TypePing), func(wire.Record) []byte { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cluster := newTestCluster(t)
			origin, far := cluster.node("eu-1", "eu"), cluster.node("us-1", "us")
			show := origin.show("show")
			show.write(7)
			var lies atomic.Int64
			var lines lines
			liar := func(peer string, conn net.Conn) net.Conn {
				return lines.add(peer, tampered(conn, func(_ string, r wire.Record) []byte {
					if c.which(r) && lies.Load() > 0 {
						lies.Add(-1)
						return c.lie(r)
					}
					return unchanged(r)
				}))
			}
			far.tamper.Store(&liar)
			if c.name == "other media of old parts" || c.name == "another initialisation section" || c.name == "view that is none" {
				lies.Store(1) // these come at the beginning
			}
			p := far.demand("show")
			show.copied(far)
			lies.Store(1)
			if len(far.manager.Copies()) == 0 {
				t.Fatal("nothing is copied")
			}
			if c.which(wire.Record{Type: wire.TypeHello}) {
				lines.cut() // hellos come when logs are opened
			}
			end := time.Now().Add(8 * time.Second)
			for far.failures(c.reason) == 0 && time.Now().Before(end) {
				show.write(1)
				time.Sleep(5 * time.Millisecond)
			}
			if far.failures(c.reason) == 0 {
				families, _ := json.Marshal(far.manager.Copies())
				t.Fatalf("it is not counted as %s: %s", c.reason, families)
			}
			show.write(3)
			show.copied(far)
			if far.presentation("show") != p {
				t.Error("viewers have another presentation")
			}
		})
	}
}
