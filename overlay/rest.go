package overlay

// Rest carries out what has been taken in and closes all journals, so that another process may open them. Commands are refused, as by
// a node that stops, until Resume. It is not for after Close.
func (d *Desks) Rest() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	for _, k := range d.opened() {
		k.close(func() bool { return true })
	}
}

// Resume undoes Rest. Desks where a command waits for its time are opened again at once, the others when they are needed.
func (d *Desks) Resume() {
	d.mu.Lock()
	if d.ctx.Err() != nil {
		d.mu.Unlock()
		return
	}
	d.closed = false
	var waiting []*Desk
	for _, k := range d.known {
		if k := k.Value(); k != nil && len(k.view.Load().Scheduled) > 0 {
			waiting = append(waiting, k)
		}
	}
	d.mu.Unlock()
	for _, k := range waiting {
		_, _ = k.enter(false) // the log has told why it cannot be opened
	}
}
