package overlay

import "context"

// Way follows one command until it is answered, and the state that it leads to into the media. Its methods are called in the order in
// which they stand here, from any goroutine; they do not block. What a command does not get to is left out.
type Way interface {
	// Judged tells that the command was checked and judged, and is about to be written.
	Judged()
	// Flushed tells that it is on the disk.
	Flushed()
	// Announced tells that the slots have another state for it, which screens are about to get as an Announcement with this Way.
	Announced()
	// Answered tells what became of it: a Reason, or another word that tells of no secret, or "" for a command that was carried out.
	Answered(failure string)
}

// follow begins to follow a command; nil is nobody.
func (d *Desks) follow(ctx context.Context, stream string, c *Command) Way {
	if d.opt.Follow == nil {
		return nil
	}
	return d.opt.Follow(ctx, stream, c)
}

// answered ends a job's way.
func (j *job) answered(failure string) {
	if j.way != nil {
		j.way.Answered(failure)
	}
}
