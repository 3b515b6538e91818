package testkit

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"
)

// Impairment is what a bad network does to datagrams. The same seed does the same to the same packets.
type Impairment struct {
	Seed uint64
	// Loss and Duplicate are shares of packets, from 0 to 1.
	Loss, Duplicate float64
	// Delay of each packet, and Jitter that comes on top, anything from none to it. What jitter changes the order of arrives in
	// another order, unless InOrder.
	Delay, Jitter time.Duration
	InOrder       bool
	// Spare is how many packets go through unharmed at first, so that a handshake is not what is tested.
	Spare int
}

// line carries datagrams in one direction.
type line struct {
	send func([]byte)

	mu    sync.Mutex // guards what follows
	imp   Impairment
	rand  *rand.Rand
	queue lineQueue
	count int
	hole  bool
	last  time.Time // when the last packet is due
	lost  int
	wake  chan struct{}
	over  bool
	done  chan struct{}
}

type lineItem struct {
	due  time.Time
	at   int
	data []byte
}

// lineQueue is ordered by what is due first.
type lineQueue []lineItem

func (q lineQueue) Len() int { return len(q) }
func (q lineQueue) Less(i, j int) bool {
	return q[i].due.Before(q[j].due) || q[i].due.Equal(q[j].due) && q[i].at < q[j].at
}
func (q lineQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *lineQueue) Push(x any)   { *q = append(*q, x.(lineItem)) }
func (q *lineQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// newLine makes a line that hands packets to send, on a goroutine of its own, until close. nil spoils nothing.
func newLine(imp *Impairment, send func([]byte)) *line {
	l := &line{send: send, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if imp != nil {
		l.imp = *imp
	}
	l.rand = rand.New(rand.NewPCG(l.imp.Seed, 0x9E3779B97F4A7C15))
	go l.run()
	return l
}

// put takes a packet; the bytes are copied.
func (l *line) put(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The same number of draws for each packet, so that one that is lost does not change the fate of the others.
	loss, twice, jitter := l.rand.Float64(), l.rand.Float64(), l.rand.Float64()
	l.count++
	if l.hole || l.over {
		return
	}
	harm := l.count > l.imp.Spare
	if harm && loss < l.imp.Loss {
		l.lost++
		return
	}
	due := time.Now()
	if harm {
		due = due.Add(l.imp.Delay + time.Duration(jitter*float64(l.imp.Jitter)))
	}
	if l.imp.InOrder && due.Before(l.last) {
		due = l.last
	}
	l.last = due
	copies := 1
	if harm && twice < l.imp.Duplicate {
		copies = 2
	}
	for range copies {
		heap.Push(&l.queue, lineItem{due, l.count, append([]byte(nil), b...)})
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run delivers what is due.
func (l *line) run() {
	defer close(l.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := time.Hour
		l.mu.Lock()
		for len(l.queue) > 0 {
			if wait = time.Until(l.queue[0].due); wait > 0 {
				break
			}
			item := heap.Pop(&l.queue).(lineItem)
			l.mu.Unlock()
			l.send(item.data)
			l.mu.Lock()
			wait = time.Hour
		}
		over := l.over
		l.mu.Unlock()
		if over {
			return
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-l.wake:
		}
	}
}

// cut lets nothing through from now on.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hole, l.queue = true, nil
}

// close ends the line and waits for that.
func (l *line) close() {
	l.mu.Lock()
	l.over, l.queue = true, nil
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	<-l.done
}

// Lost is how many packets were lost on purpose.
func (l *line) Lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}
