package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/testkit"
	"pushcart/overlay/api"
)

// reloading changes settings, and makes mistakes.
func (k *soak) reloading() {
	for i := 0; ; i++ {
		k.wait(k.scaled(2*time.Second, 15*time.Second))
		if !k.on() {
			return
		}
		switch i % 3 {
		case 0:
			k.write(port(k.s.RTMP), port(k.s.HTTP), (k.dvr() + time.Second).String())
		case 1:
			k.write(port(k.s.RTMP), port(k.s.HTTP), "a mistake")
		case 2:
			k.write(port(k.s.RTMP), port(k.s.HTTP), k.dvr().String())
		}
		k.s.Signal(syscall.SIGHUP)
		k.reloads.Add(1)
	}
}

// reloaded wants mistakes to have been refused and good settings to be in force in the end.
func (k *soak) reloaded() {
	k.write(port(k.s.RTMP), port(k.s.HTTP), k.dvr().String())
	k.s.Signal(syscall.SIGHUP)
	testkit.Eventually(k.t, "the configuration without mistakes is in force", func() bool {
		return testkit.Scrape(k.t, "http://"+k.s.Admin).Value("pushcart_config_refused") == 0
	})
	m := testkit.Scrape(k.t, "http://"+k.s.Admin)
	for _, result := range []string{"applied", "refused"} {
		if k.reloads.Load() > 2 && m.Value("pushcart_config_reloads_total", "result", result) == 0 {
			k.fault("settings were read again %d times, and none counts as %s", k.reloads.Load(), result)
		}
	}
}

// filling fills the disk now and then until commands were refused for want of room, and frees it again: then they are taken again.
func (k *soak) filling() {
	for {
		k.wait(k.scaled(3*time.Second, 60*time.Second))
		if !k.on() {
			return
		}
		before, failures := k.noRoom.Load(), k.journalFailures()
		k.disk.tight.Store(true)
		if err := k.disk.fill(); err != nil {
			k.fault("fill the disk: %v", err)
			return
		}
		k.fills.Add(1)
		for end := time.Now().Add(30 * time.Second); k.noRoom.Load() < before+3 && k.commanding.Err() == nil && time.Now().Before(end); {
			k.wait(50 * time.Millisecond)
		}
		k.wait(k.scaled(500*time.Millisecond, 4*time.Second))
		refused := k.noRoom.Load() - before
		over := k.commanding.Err() != nil
		if now := k.journalFailures(); refused > 0 && now <= failures {
			k.fault("%d commands were refused on a full disk, and pushcart_cards_journal_failures_total stays at %v", refused, now)
		}
		if err := k.disk.free(); err != nil {
			k.fault("free the disk: %v", err)
			return
		}
		if refused == 0 && !over {
			k.fault("on a full disk no command is refused")
		}
		taken := k.commands.Load()
		for end := time.Now().Add(20 * time.Second); k.commands.Load() < taken+3 && k.commanding.Err() == nil; k.wait(50 * time.Millisecond) {
			if time.Now().After(end) {
				k.fault("with room again, commands are still refused")
				return
			}
		}
		k.wait(2 * time.Second)
		k.disk.tight.Store(false)
	}
}

func (k *soak) journalFailures() (n float64) {
	err := testkit.Act(k.ctx, k.t, func(t testing.TB) {
		n = testkit.Scrape(t, "http://"+k.s.Admin).Value("pushcart_cards_journal_failures_total")
	})
	if err != nil && k.on() {
		k.fault("%v", err)
	}
	return n
}

// told waits until the receiver heard of all cards that a producer had shown.
func (k *soak) told(p *producer) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); k.pause(50 * time.Millisecond) {
		if n, _ := k.hooks.missing(p); n == 0 {
			return true
		}
	}
	return false
}

// idle waits until all streams have ended, and nobody keeps anything of them.
func (k *soak) idle() {
	var m testkit.Metrics
	for end := time.Now().Add(soakWindow + 2*k.dvr() + 20*time.Second); time.Now().Before(end); k.pause(200 * time.Millisecond) {
		m = testkit.Scrape(k.t, "http://"+k.s.Admin)
		if m.Value("pushcart_window_bytes") == 0 && m.Value("pushcart_ingest_publishers") == 0 {
			return
		}
	}
	k.fault("everybody has left, and there are %v publishers and %v bytes of media", m.Value("pushcart_ingest_publishers"), m.Value("pushcart_window_bytes"))
}

// rise kills the node and starts it again: it has all that it had acknowledged.
func (k *soak) rise(producers []*producer) {
	before := make([]slots, len(producers))
	lines := make([]map[string]time.Time, len(producers))
	for i, p := range producers {
		before[i], lines[i] = p.slots(), p.look()
	}
	k.s.Kill()
	k.write(port(k.s.RTMP), port(k.s.HTTP), k.dvr().String())
	k.s = k.disk.run(k.file)
	for i, p := range producers {
		if now := p.slots(); now.Epoch <= before[i].Epoch || !reflect.DeepEqual(now.Slots, before[i].Slots) {
			k.fault("%s: before the node was killed slots were %+v, now they are %+v", p.host.name, before[i], now)
		}
		now := p.look()
		for line, from := range lines[i] {
			if at, ok := now[line]; !ok || !at.Equal(from) {
				k.fault("%s: before the node was killed %s was in the timeline from %v, now from %v", p.host.name, line, from, at)
				k.lost.Add(1)
			}
		}
	}
}

// killer kills children of ladders now and then: such as belong to the node under test.
func (k *soak) killer(r *rand.Rand) {
	for {
		k.wait(k.scaled(4*time.Second, 40*time.Second))
		for k.on() && !k.killOne(r) {
			k.wait(300 * time.Millisecond)
		}
		if !k.on() {
			return
		}
	}
}

// killOne kills a child, if there is one, and tells whether it did.
func (k *soak) killOne(r *rand.Rand) bool {
	var d api.LadderDetail
	name := fmt.Sprint("ladder", r.IntN(2))
	h := newHost(k.t, "http://"+k.s.HTTP)
	h.name = name
	defer h.http.CloseIdleConnections()
	a, err := h.ask(http.MethodGet, "/ladder", nil)
	if err != nil || a.status != http.StatusOK || json.Unmarshal(a.body, &d) != nil || len(d.Children) == 0 {
		return false
	}
	pid := d.Children[r.IntN(len(d.Children))].Pid
	if pid <= 1 || parentOf(pid) != k.s.PID() || syscall.Kill(pid, syscall.SIGKILL) != nil {
		return false
	}
	k.kills.Add(1)
	return true
}

// parentOf is a process's parent (proc_pid_stat(5)); 0 when it is gone.
func parentOf(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}
