package ingest

// Permits tells whether Open would authorise the request, by its key and name alone: it claims nothing, counts nothing and
// logs nothing. Protocols whose clients ask first without a key, to be asked for one, need it.
func (d *Door) Permits(req Request) bool {
	_, refusal := d.authorise(req)
	return refusal == nil
}
