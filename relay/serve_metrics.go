package relay

import "github.com/prometheus/client_golang/prometheus"

type serverMetrics struct {
	sent, backfill, steps     prometheus.Counter
	states, refusals, endings *prometheus.CounterVec
	forwarded                 prometheus.Counter
	join, behind, adopted     prometheus.Counter
	registered                []prometheus.Collector
}

func newServerMetrics(reg prometheus.Registerer, s *Server) *serverMetrics {
	m := &serverMetrics{}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.registered = append(m.registered, c)
		return c
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		m.registered = append(m.registered, c)
		return c
	}
	m.sent = counter("pushcart_relay_sent_bytes_total", "Bytes that were sent to peers, records and media.")
	m.backfill = counter("pushcart_relay_sent_backfill_bytes_total", "Bytes of media that peers were sent later than the part was announced.")
	m.forwarded = counter("pushcart_relay_forwarded_bytes_total", "Bytes of media that were sent on before their part was whole here.")
	m.steps = counter("pushcart_relay_sent_steps_total", "Steps of renditions that were sent to peers.")
	m.states = vector("pushcart_relay_sent_states_total", "Whole states of renditions that were sent to peers, by reason: join, behind (the peer was too slow for the steps), adopted (this node had got a state itself).", "reason")
	m.refusals = vector("pushcart_relay_refusals_total", "Requests of peers that were refused, by reason.", "reason")
	m.endings = vector("pushcart_relay_logs_ended_total", "Logs that ended, by reason; gone is that the peer went.", "reason")
	m.join, m.behind, m.adopted = m.states.WithLabelValues("join"), m.states.WithLabelValues("behind"), m.states.WithLabelValues("adopted")
	m.registered = append(m.registered, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pushcart_relay_peers", Help: "Copies that other nodes make from this one at this time, each of one stream.",
	}, func() float64 { n, _ := s.Load(); return float64(n) }))
	if reg != nil {
		reg.MustRegister(m.registered...)
	}
	return m
}
