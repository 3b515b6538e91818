package webhooks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestQueueModel adds, settles and opens again at random, and holds what waits against a model. The files stay within the limit.
func TestQueueModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			const limit = 1 << 20
			dir := t.TempDir()
			s, _, err := openStore(dir, limit, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			next := uint64(1)
			type wait struct {
				e    *event
				keys []key
				body []byte
			}
			waits := map[uint64]*wait{}
			live := int64(0)
			for step := range 250 {
				switch random.IntN(12) {
				case 0: // the process is killed
					s.mu.Lock()
					s.seal()
					unlock(s.lock)
					s.lock.Close()
					s.mu.Unlock()
					var events []*event
					if s, events, err = openStore(dir, limit, slog.New(slog.DiscardHandler)); err != nil {
						t.Fatal(err)
					}
					if len(events) != len(waits) {
						t.Fatalf("step %d: %d events wait instead of %d", step, len(events), len(waits))
					}
					live = 0
					for i, e := range events {
						w := waits[e.seq]
						if w == nil || !slices.Equal(e.keys, w.keys) || i > 0 && events[i-1].seq >= e.seq {
							t.Fatalf("step %d: event %d waits for %v", step, e.seq, e.keys)
						}
						w.e = e
						live += e.size
					}
				case 1, 2, 3, 4, 5:
					var batch []*event
					for range 1 + random.IntN(20) {
						e := &event{seq: next, at: time.UnixMilli(int64(next)), typ: CardShown, stream: "show", id: "id", body: bytes.Repeat([]byte{byte(next)}, 1+random.IntN(5000))}
						for k := range byte(1 + random.IntN(3)) {
							e.keys = append(e.keys, key{k})
						}
						e.size = int64(len(e.body))
						if live+e.size > limit/2-64<<10 {
							break
						}
						next++
						live += e.size
						waits[e.seq] = &wait{e, slices.Clone(e.keys), e.body}
						batch = append(batch, e)
					}
					if err := s.add(batch); err != nil {
						t.Fatal(err)
					}
				default:
					var list []settled
					for seq, w := range waits {
						if len(list) > 15 || random.IntN(3) == 0 {
							break
						}
						k := w.keys[random.IntN(len(w.keys))]
						list = append(list, settled{w.e, k})
						w.keys = slices.DeleteFunc(w.keys, func(o key) bool { return o == k })
						if len(w.keys) == 0 {
							live -= w.e.size
							delete(waits, seq)
						}
					}
					if err := s.settle(list); err != nil {
						t.Fatal(err)
					}
				}
				for seq, w := range waits {
					if b, err := s.read(w.e); err != nil || !bytes.Equal(b, w.body) {
						t.Fatalf("step %d: event %d cannot be read: %v", step, seq, err)
					}
					if random.IntN(3) == 0 {
						break
					}
				}
				if size := sizeOf(t, dir); size > limit || size != s.bytes() {
					t.Fatalf("step %d: the files have %d bytes, %d are known, the limit is %d", step, size, s.bytes(), limit)
				}
			}
			if err := s.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDamage changes bytes in the middle of a segment: the other records are found.
func TestDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	s, _, err := openStore(dir, 1<<20, log)
	if err != nil {
		t.Fatal(err)
	}
	var events []*event
	for n := range 10 {
		events = append(events, &event{seq: uint64(n + 1), typ: CardShown, stream: "show", id: "id", keys: []key{{1}}, body: []byte(`{"some":"thing"}`)})
	}
	if err := s.add(events); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"+queueSuffix))
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		b := bytes.Clone(whole)
		b[at] ^= 0x41
		if err := os.WriteFile(names[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, found, err := openStore(dir, 1<<20, log)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 9 {
			t.Errorf("with byte %d changed %d events are found", at, len(found))
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForeignFiles: what is not the queue's stays.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"note.txt", "xyz.queue", "1.queue"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, _, err := openStore(dir, 1<<20, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	if n := sizeOf(t, dir); n != 12 {
		t.Errorf("%d bytes are left", n)
	}
}

// FuzzRecords: whatever is in a segment, reading it ends, and what is read is written the same way.
func FuzzRecords(f *testing.F) {
	e := &eventRecord{seq: 7, at: time.UnixMilli(1763731234567), keys: []key{{1}, {2}}, typ: CardShown, stream: "show", id: "evt_1", body: []byte(`{}`)}
	good := appendRecord(nil, e.append)
	good = appendRecord(good, (&toldRecord{7, key{1}}).append)
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(append([]byte("pwq1pwq1"), good...))
	f.Add(binary.LittleEndian.AppendUint32([]byte("pwq1"), 1<<31))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := 0
		damaged := scan(b, func(at int, payload []byte) {
			whole += recordHead + len(payload)
			if !bytes.Equal(b[at+recordHead:at+recordHead+len(payload)], payload) {
				t.Error("a payload is not where it is said to be")
			}
		})
		if whole+damaged != len(b) {
			t.Errorf("%d whole and %d damaged bytes of %d", whole, damaged, len(b))
		}
		ev, told, err := parseRecord(b)
		switch {
		case err != nil:
		case ev != nil:
			if again := ev.append(nil); !bytes.Equal(again, b) {
				t.Errorf("%x is written as %x", b, again)
			}
		case told != nil:
			if again := told.append(nil); !bytes.Equal(again, b) {
				t.Errorf("%x is written as %x", b, again)
			}
		default:
			t.Error("nothing was read, without an error")
		}
	})
}
