package webhooks

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// load reads all segments.
func (s *store) load() ([]*event, error) {
	numbers, err := s.list()
	if err != nil {
		return nil, err
	}
	known := map[uint64]*event{}
	damaged := 0
	for _, n := range numbers {
		b, err := s.readAll(n)
		if err != nil {
			return nil, err
		}
		g := &segment{number: n, size: int64(len(b))}
		s.segments, s.total, s.number = append(s.segments, g), s.total+g.size, n+1
		damaged += scan(b, func(at int, payload []byte) {
			e, told, err := parseRecord(payload)
			switch {
			case err != nil:
				damaged += len(payload)
			case told != nil:
				if old := known[told.seq]; old != nil {
					s.told(old, told.key)
				}
			default:
				if old := known[e.seq]; old != nil && len(old.keys) > 0 {
					old.segment.live-- // it was copied to the end
				}
				ev := &event{
					seq: e.seq, at: e.at, typ: e.typ, stream: e.stream, id: e.id, keys: e.keys,
					size: int64(recordHead + len(payload)), segment: g, offset: int64(at), length: recordHead + len(payload),
				}
				known[e.seq], s.next = ev, max(s.next, e.seq+1)
				if len(ev.keys) > 0 {
					g.live++
					g.events = append(g.events, ev)
				}
			}
		})
	}
	if damaged > 0 {
		s.log.Warn("the queue of webhooks had bytes that are no record, as after a crash: they were skipped", "folder", s.dir, "bytes", damaged)
	}
	var events []*event
	for _, e := range known {
		if len(e.keys) > 0 {
			events = append(events, e)
		}
	}
	slices.SortFunc(events, func(a, b *event) int { return int(int64(a.seq - b.seq)) })
	s.drop()
	return events, nil
}

// list returns the numbers of the segments in the folder, in order.
func (s *store) list() ([]uint64, error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, f := range files {
		text, ok := strings.CutSuffix(f.Name(), queueSuffix)
		if n, err := strconv.ParseUint(text, 16, 63); ok && err == nil && f.Type().IsRegular() && f.Name() == segmentName(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
