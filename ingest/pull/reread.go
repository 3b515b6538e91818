package pull

// Reread takes in what another process has put into the file since New. It is to be called before Run, by who takes over from that
// process.
func (m *Manager) Reread() {
	if m.file == nil {
		return
	}
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.made)
	m.broken = nil
	m.load()
	m.applyLocked()
}
